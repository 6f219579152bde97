/* Orders (SAFETY 6): order ids, intents over a restart of the agent, and a planned switchover whose standby fails first. Two
 * hosts with an LCA each, the first of them primary; one SCS at a time, which may die and be followed by another with the next term.
 *
 * Without clocks: what the other models show of leases is taken as given. A grant may be used until EXPIRE, a lease ends at
 * LAPSE, both at any moment, and a horizon passes (PASS) when neither is alive any more. Every order ever sent may arrive at
 * any later time, any number of times. An order is a number k: order id, and place in `kind`, `to`, `tm`, `ep`. An LCA takes
 * it (ACCEPT: intent and epoch durable), carries it out (ACT), and records that (DONE); it may die between any two of these,
 * while its application and keeper go on.
 *
 * Asserted: S1; S3 nobody becomes primary with an epoch that is not above every one before, so a member that gets the role
 * back does so with the epoch after; S5 no order has its effect twice; S10 none has an effect after one of a higher term.
 * Switches: -DSTARTS starts and stops of the second in the place of roles; -DOM orders, -DDEATHS of LCAs, -DFAILS of applications, -DSCRASHES of the SCS; -DREACH must fail: the first
 * is primary again after the standby, to which a grant was sent, failed. -DMUT=1 an order done is obeyed again; 2 a lower term is obeyed; 3 a PRIMARY
 * intent is redone after a restart; 4 the first gets it back with the epoch that the standby was granted; 5 it gets it back
 * at the standby's silence; 6 what is done is forgotten in a restart; 7 a release is reported before the DEMOTE is done. */
#ifndef MUT
#define MUT 0
#endif
#ifndef OM
#define OM 3
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef FAILS
#define FAILS 1
#endif
#ifndef SCRASHES
#define SCRASHES 1
#endif
#define START 1
#define STOP 2
#define DEMOTE 3
#define GRANT 4
#define NONE 2
/* what the SCS is at: nothing, waits for the release of `from`, may grant the other, waits for that, may give back, waits */
#define IDLE 0
#define DEMOTING 1
#define GRANTING 2
#define GRANTED 3
#define RETURNING 4
#define RETURNED 5
byte kind[OM], to[OM], tm[OM], ep[OM], n;
byte term, en, phase, holder, from, crashes;
bool sup, recovering;
bool hor[2]; byte hg[2];         /* SCS: horizon of h; orders below this number were granted under it */
byte app[2];                     /* 0 none, 1 backup, 2 primary */
bool lease[2];
byte usable[2];                  /* the grant to h that may still be used, its number + 1 */
byte aep[2];                     /* epoch held */
byte hterm[2], hep[2], intent[2], done[2]; /* durable: highest term and epoch, order under way (number + 1), orders done */
byte kst[2];                     /* the keeper's: the order that the last start came from */
bool acted[2], dead[2];
byte deaths, fails, rel[2];   /* rel: grants below are released */
byte exe, ltm[2], maxep;         /* ghosts: orders that had their effect; term of the last one; highest epoch ever held */

#define BIT(k) (1<<(k))
#define SEND(k_,h,e) kind[n]=k_; to[n]=h; tm[n]=term; ep[n]=e; n++
#define NEXT ((term<<2)|(en+1))
#define GIVE(h,e) SEND(GRANT,h,e); hor[h]=1; hg[h]=n; usable[h]=n
#define LEADS (sup && !recovering)
#define ROOM (n<OM)

/* --- SCS --- */
#define ORDER(h) :: d_step{ LEADS && ROOM && phase==IDLE -> SEND(START,h,0) } :: d_step{ LEADS && ROOM && phase==IDLE -> SEND(STOP,h,0) }
#define PLAN :: d_step{ LEADS && ROOM && phase==IDLE && holder<NONE -> from=holder; SEND(DEMOTE,from,(term<<2)|en); phase=DEMOTING }
#define GONE :: d_step{ LEADS && phase==IDLE && holder<NONE && !hor[holder] -> holder=NONE }
#define FIRST(h) :: d_step{ LEADS && phase==IDLE && holder==NONE -> from=1-h; phase=GRANTING }
#define FREE :: d_step{ sup && phase==DEMOTING && !hor[from] -> holder=NONE; phase=GRANTING }
#define GRANTB :: d_step{ sup && phase==GRANTING && ROOM && en<3 && !hor[from] -> GIVE(1-from,NEXT); en++; phase=GRANTED }
#define WELL :: d_step{ sup && phase==GRANTED && (done[1-from]&BIT(n-1)) && app[1-from]==2 -> holder=1-from; from=0; phase=IDLE }
/* the standby died, declined, or its deadline passed */
#define ILL :: d_step{ sup && (phase==GRANTING || phase==GRANTED) && app[1-from]<2 -> phase=RETURNING }
#if MUT==4
#define BACKEP ((term<<2)|(en>0->en:1))
#else
#define BACKEP NEXT
#endif
#if MUT==5
#define CERTAIN true
#else
#define CERTAIN (!hor[1-from])
#endif
#define BACK :: d_step{ sup && phase==RETURNING && ROOM && en<3 && CERTAIN && !hor[from] -> GIVE(from,BACKEP); en++; phase=RETURNED }
#define BACKOK :: d_step{ sup && phase==RETURNED && (done[from]&BIT(n-1)) -> holder=from; from=0; phase=IDLE }
#define SCRASH :: d_step{ sup && crashes<SCRASHES -> crashes++; sup=0; phase=IDLE; holder=NONE; from=0; hor[0]=0; hor[1]=0; hg[0]=0; hg[1]=0 } \
  :: d_step{ !sup -> sup=1; recovering=1; term++; en=0 }
/* RECOVERING ends when no grant of the former can be used; who is primary by then is adopted, with its epoch */
#define ADOPT(h) holder=h; hor[h]=1; hg[h]=(n>0->n:1)
#define RECOVER :: d_step{ sup && recovering && usable[0]==0 && usable[1]==0 -> recovering=0; \
  if :: app[0]==2 -> ADOPT(0) :: app[1]==2 -> ADOPT(1) :: else fi }
#define RELD(h) :: d_step{ sup && hor[h] && hg[h]<=rel[h] -> hor[h]=0; hg[h]=0 }
#define PASS(h) :: d_step{ sup && hor[h] && usable[h]==0 && !lease[h] && app[h]<2 -> hor[h]=0; hg[h]=0 }

/* --- LCA --- */
#define HEAR(h) :: d_step{ sup && !dead[h] && hterm[h]<term -> hterm[h]=term }
#if MUT==2
#define TERMOK(h,k) true
#else
#define TERMOK(h,k) (tm[k]>=hterm[h])
#endif
#if MUT==1
#define UNDONE(h,k) true
#else
#define UNDONE(h,k) ((done[h]&BIT(k))==0)
#endif
#define MAY(h,k) ((kind[k]==GRANT && usable[h]==k+1 && app[h]==1 && ep[k]>hep[h] && k>=rel[h]) || \
  (kind[k]==DEMOTE && !(app[h]==2 && ep[k]<aep[h])) || kind[k]==START || kind[k]==STOP)
#define ACCEPT(k) :: d_step{ k<n && !dead[to[k]] && intent[to[k]]==0 && TERMOK(to[k],k) && UNDONE(to[k],k) && MAY(to[k],k) -> \
  intent[to[k]]=k+1; if :: tm[k]>hterm[to[k]] -> hterm[to[k]]=tm[k] :: else fi; if :: kind[k]==GRANT -> hep[to[k]]=ep[k] :: else fi }
#define K(h) (intent[h]-1)
#define EFFECT(h) assert((exe&BIT(K(h)))==0); exe=exe|BIT(K(h)); assert(tm[K(h)]>=ltm[h]); ltm[h]=tm[K(h)]
#if MUT==3
#define STILL(h) app[h]>0
#else
#define STILL(h) (usable[h]==intent[h] && app[h]==1)
#endif
#ifdef REACH
#define RCH(h) assert(!(phase==RETURNED && h==from && exe==5 && kind[0]==DEMOTE && kind[1]==GRANT));
#else
#define RCH(h)
#endif
#define ACT(h) :: d_step{ !dead[h] && intent[h]>0 && !acted[h] -> acted[h]=1; \
  if :: kind[K(h)]==START && app[h]==0 -> EFFECT(h); app[h]=1; kst[h]=intent[h] \
     :: kind[K(h)]==STOP && app[h]>0 -> EFFECT(h); app[h]=0; lease[h]=0; aep[h]=0 \
     :: kind[K(h)]==DEMOTE && app[h]==2 -> EFFECT(h); app[h]=1; lease[h]=0; aep[h]=0 \
     :: kind[K(h)]==GRANT && STILL(h) -> EFFECT(h); app[h]=2; lease[h]=1; aep[h]=ep[K(h)]; \
        assert(app[1-h]!=2); assert(aep[h]>maxep); maxep=aep[h]; RCH(h) \
     :: else fi }
#define DONE(h) :: d_step{ acted[h] -> acted[h]=0; done[h]=done[h]|BIT(K(h)); intent[h]=0 }
#if MUT==6
#define FORGET(h) done[h]=0
#else
#define FORGET(h) skip
#endif
#define DIE(h) :: d_step{ !dead[h] && deaths<DEATHS -> deaths++; dead[h]=1; acted[h]=0; FORGET(h) }
/* STOP and DEMOTE are left to be done again; of a start the keeper knows; a grant is never taken up again */
#if MUT==3
#define REDO(h) (kind[K(h)]!=START)
#else
#define REDO(h) (kind[K(h)]==STOP || kind[K(h)]==DEMOTE)
#endif
#define RESUME(h) :: d_step{ dead[h] -> dead[h]=0; \
  if :: intent[h]>0 && !REDO(h) -> if :: kind[K(h)]!=START || kst[h]==intent[h] -> done[h]=done[h]|BIT(K(h)) :: else fi; intent[h]=0 :: else fi }
#if MUT==7
#define QUIET(h) (app[h]<2 || (intent[h]>0 && kind[K(h)]==DEMOTE))
#else
#define QUIET(h) (app[h]<2)
#endif
#define RELEASE(h) :: d_step{ !dead[h] && rel[h]<n && QUIET(h) && (intent[h]==0 || kind[K(h)]!=GRANT) -> rel[h]=n; usable[h]=0 }

/* --- time, the keeper and the application --- */
#define EXPIRE(h) :: d_step{ usable[h]>0 -> usable[h]=0 }
#define LAPSE(h) :: d_step{ lease[h] -> lease[h]=0; aep[h]=0; app[h]=(dead[h]->0:1) }
#define FAIL(h) :: d_step{ app[h]>0 && fails<FAILS -> fails++; app[h]=0; lease[h]=0; aep[h]=0 }

active proctype sys(){
 d_step{ sup=1; term=1; en=1; hor[0]=1; hg[0]=1; app[0]=2; app[1]=1; lease[0]=1; aep[0]=(1<<2)|1; hep[0]=aep[0]; maxep=aep[0]; hterm[0]=1; hterm[1]=1 }
end: do
#ifdef STARTS
 ORDER(1) ACT(1) DONE(1) DIE(1) RESUME(1) FAIL(1)
#else
 PLAN GONE FIRST(0) FIRST(1) FREE GRANTB WELL ILL BACK BACKOK RELD(0) RELD(1) PASS(0) PASS(1)
 ACT(0) ACT(1) DONE(0) DONE(1) DIE(0) DIE(1) RESUME(0) RESUME(1) RELEASE(0) RELEASE(1)
 EXPIRE(0) EXPIRE(1) LAPSE(0) LAPSE(1) FAIL(0) FAIL(1)
#endif
 SCRASH RECOVER HEAR(0) HEAR(1) ACCEPT(0) ACCEPT(1) ACCEPT(2)
#if OM>3
 ACCEPT(3)
#endif
#if OM>4
 ACCEPT(4)
#endif
 od }
