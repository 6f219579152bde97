/* Changes of the elector set under arbiter = agents (SAFETY 2, its last line): five electors of which a set is a part, two
 * SCS, up to three sets one after the other. Electors and SCS get the new configuration one by one, in any order, at any
 * time. Voting is that of vote.pml without lost records, restarts of electors (-DBOOT has them) and requests from before the
 * newest round (-DOLDREQS has them), each of which is looked at there.
 *
 * That differing sets do not vote (the number of the set travels with every request, and an elector answers only its own)
 * is not enough where two majorities need not meet: RULE 0 below is violated for sets that differ by more than one member
 * and for two changes that overlap in time. RULE 1 is what README.md proposes; its row
 * looks at SHAPE 2 with SCS that keep their sets:
 *   E1 sets are numbered, the number is durable at an elector and never goes back; it answers only its own number;
 *   E2 an elector that takes a set votes for nothing until a majority of the former set said that it has taken the new
 *      one too; it takes over their highest term, and waits La(1+2rho)+eps more;
 *   E3 an elector takes no further set before E2 of the present one is over.
 * An elector that was in no former set is under E2 as well.
 *
 * RULE 2 is the product: CHANGE is TAKESET, CONFIRM is HEAR, at any elector at any time once a majority of the former set
 * has left it; an elector that was away learns from a majority of the set that some controller names (V6, JOIN). It
 * compares names only, so in SHAPE 7 a request with the names of the first set is good in the third as well; numbers
 * decide who may go on. An elector that took one successor and hears that the number is voted in goes on.
 *
 * SHAPE 1: {0,1,2} then {0,1,2,3}: one member more. SHAPE 2: {0,1,2} then {2,3,4}. SHAPE 3: {0,1,2}, {0,1,2,3},
 * {0,1,2,3,4}. SHAPE 4: {0,1,2}, {1,2,3}, {2,3,4}.
 * SHAPE 7: {0,1,2}, {1,2,3}, {0,1,2}.
 * SHAPE 5: {0,1,2} then {1,2,3}: one exchanged. SHAPE 6: {0,1,2} then all five. -DSTOPPED: both SCS stand still until no
 * authority is left, and begin together with the last set and terms above every former one; electors take it from them.
 * Asserted: S2 and S3 in WIN. Switches: -DRULE, -DSHAPE, -DLA, -DTMAX; -DNEWER=0|1 which SCS has the last set while the
 * other stays with the first (-DFREE_SCS: both take the sets at any time, and crash); -DREACH must fail: somebody has
 * authority by the last set after somebody had it by the first. -DMUT=1 no wait after E2's majority; -DMUT=2 one answer instead of a majority;
 * -DMUT=3 without E3; -DMUT=4 the terms heard are not taken over; -DMUT=5 the number of the set is not compared;
 * RULE 2: -DMUT=7 who is changing votes in both sets; -DMUT=8 V6 counts who is changing; -DMUT=9 V6 goes back to a lower number
 * (no search of the last two reached a violation, so no row has them).
 * -DMUT=6 with STOPPED the authority's end is not waited for. */
#ifndef MUT
#define MUT 0
#endif
#ifndef RULE
#define RULE 1
#endif
#ifndef SHAPE
#define SHAPE 2
#endif
#ifndef LA
#define LA 1
#endif
#ifndef TMAX
#define TMAX 3
#endif
#define M 1
#define PL (LA+M)
#if SHAPE==1
#define LAST 1
#define SET(c) ((c)==0->7:15)
#elif SHAPE==2
#define LAST 1
#define SET(c) ((c)==0->7:28)
#elif SHAPE==5
#define LAST 1
#define SET(c) ((c)==0->7:14)
#elif SHAPE==6
#define LAST 1
#define SET(c) ((c)==0->7:31)
#elif SHAPE==7
#define LAST 2
#define NEWSET 1
#define SET(c) ((c)==1->14:7)
#elif SHAPE==3
#define LAST 2
#define SET(c) ((c)==0->7:((c)==1->15:31))
#else
#define LAST 2
#define SET(c) ((c)==0->7:((c)==1->14:28))
#endif
#ifndef NEWSET
#define NEWSET LAST
#endif
#ifndef NEWER
#define NEWER 1
#endif
#define BIT(t) (1<<(t))
#define IN(e,c) ((SET(c)>>(e))&1)
#define CNT(v) (((v)&1)+(((v)>>1)&1)+(((v)>>2)&1)+(((v)>>3)&1)+(((v)>>4)&1))
#define MAJ(c) (CNT(SET(c))/2+1)

byte mx[5], prom[5];
byte cf[5];               /* durable: number of the set */
byte jn[5];               /* E2: 0 over, 1 asking, 2 waiting */
byte term[2], rage[2], ans[2], a[2], sc[2];
bool won[2];
byte g, hi;
byte top, high;           /* RULE 2: what an elector has heard of the others */
byte sent[3];             /* per set: terms whose requests are in the network for ever */
#ifdef REACH
bool first0;
#define RCH(i) assert(!(first0 && sc[i]==NEWSET)); if :: sc[i]==0 -> first0=1 :: else fi;
#else
#define RCH(i)
#endif

inline dec(v){ if :: v>0 -> v-- :: else fi }
inline older(i){ if :: rage[i]>=LA+M -> rage[i]=0; ans[i]=0 :: rage[i]>0 && rage[i]<LA+M -> rage[i]++ :: else fi }
inline tick(){ d_step{ dec(prom[0]); dec(prom[1]); dec(prom[2]); dec(prom[3]); dec(prom[4]); dec(a[0]); dec(a[1]); dec(g); older(0); older(1) } }

#if MUT==5
#define SAME(e,c) (cf[e]==cf[e])
#elif RULE==2 && MUT==7
#define SAME(e,c) (SET(cf[e])==SET(c) || (jn[e]==1 && SET(cf[e]-1)==SET(c)))
#elif RULE==2
#define SAME(e,c) (SET(cf[e])==SET(c))
#else
#define SAME(e,c) (cf[e]==c)
#endif
#if RULE==2 && MUT==7
#define VOTES(e) true
#else
#define VOTES(e) (jn[e]==0)
#endif
#define OKV(e,t,c) (IN(e,c) && SAME(e,c) && VOTES(e) && t>=mx[e] && (prom[e]==0 || mx[e]==t))
#define VOTE(e,t) mx[e]=t; prom[e]=PL
#define USED(t) (((sent[0]|sent[1]|sent[2])&BIT(t))!=0)
#define VAL(i,m) (LA+m-(rage[i]-1))

/* --- SCS --- */
#ifdef STOPPED
#define FRESH(t) (t>hi)
#define KNOWN(e) (cf[e]<sc[0])
#if MUT==6
#define OVER true
#else
#define OVER (a[0]==0 && a[1]==0 && g==0)
#endif
#define HALT(i) if :: a[i]>g -> g=a[i] :: else fi; a[i]=0; term[i]=0; won[i]=0; rage[i]=0; ans[i]=0; sc[i]=LAST
#else
#define FRESH(t) true
#define KNOWN(e) (cf[e]<LAST)
#endif
#define NEWTERM(i,t) :: d_step{ t<=TMAX && FRESH(t) && a[i]==0 && term[i]!=t && !USED(t) -> term[i]=t; won[i]=0; rage[i]=1; ans[i]=0; sent[sc[i]]=sent[sc[i]]|BIT(t) }
#define NEWROUND(i) :: d_step{ term[i]>0 && rage[i]!=1 -> rage[i]=1; ans[i]=0; sent[sc[i]]=sent[sc[i]]|BIT(term[i]) }
#define SCFG(i) :: d_step{ sc[i]<LAST -> sc[i]++; rage[i]=0; ans[i]=0 }
#define DELIV(i,e) :: d_step{ rage[i]>0 && OKV(e,term[i],sc[i]) && ((ans[i]&BIT(e))==0 || prom[e]<PL) -> VOTE(e,term[i]); ans[i]=ans[i]|BIT(e) }
#define OLDREQ(e,t,c) :: d_step{ t<=TMAX && c<=LAST && (sent[c]&BIT(t))!=0 && OKV(e,t,c) && (mx[e]!=t || prom[e]<PL) -> VOTE(e,t) }
#define WIN(i,m) :: d_step{ rage[i]>0 && CNT(ans[i])>=MAJ(sc[i]) && VAL(i,m)>a[i] -> a[i]=VAL(i,m); \
  assert(term[i]>hi || (term[i]==hi && won[i])); RCH(i) hi=term[i]; won[i]=1; \
  assert((a[0]==0 || a[1]==0) && (g==0 || (a[0]==0 && a[1]==0))) }
#define SCRASH(i) :: d_step{ term[i]>0 -> if :: a[i]>g -> g=a[i] :: else fi; a[i]=0; term[i]=0; won[i]=0; rage[i]=0; ans[i]=0 }

/* --- electors --- */
#define REBOOT(e) :: d_step{ prom[e]<PL && jn[e]!=1 -> prom[e]=PL }
#if RULE==0
#define TAKESET(e) :: d_step{ KNOWN(e) -> cf[e]++ }
#define HEAR(e)
#define JOIN(e)
#else
#if MUT==3
#define MAYTAKE(e) true
#else
#define MAYTAKE(e) (jn[e]==0)
#endif
#define TAKESET(e) :: d_step{ cf[e]<LAST && MAYTAKE(e) -> cf[e]++; jn[e]=(cf[e]==LAST && !IN(e,LAST)->0:1); if :: jn[e]==0 -> prom[e]=0 :: else fi }
#if MUT==2
#define ENOUGH(e) 1
#else
#define ENOUGH(e) MAJ(cf[e]-1)
#endif
#if MUT==4
#define TAKEMAX(e)
#else
#define TAKE1(e,v) if :: LEFT(e,v) && mx[v]>mx[e] -> mx[e]=mx[v] :: else fi;
#define TAKEMAX(e) TAKE1(e,0) TAKE1(e,1) TAKE1(e,2) TAKE1(e,3) TAKE1(e,4)
#endif
#if MUT==1
#define WAIT(e) skip
#else
#define WAIT(e) prom[e]=PL
#endif
/* v was of the former set of e and has gone on. A set is never left backwards, so the answers, heard one by one, are as
 * good as heard at once when the last comes. */
#define LEFT(e,v) (IN(v,cf[e]-1) && cf[v]>=cf[e])
#define HEAR(e) :: d_step{ jn[e]==1 && LEFT(e,0)+LEFT(e,1)+LEFT(e,2)+LEFT(e,3)+LEFT(e,4)>=ENOUGH(e) -> TAKEMAX(e) jn[e]=2; WAIT(e) }
#define JOIN(e) :: d_step{ jn[e]==2 && prom[e]==0 -> jn[e]=0 }
#endif
/* --- RULE 2: what the product does. CHANGE, CONFIRM, and V6 for who was away. cf is the number, SET(cf) the names. --- */
#if RULE==2
#undef TAKESET
#undef HEAR
#undef JOIN
#if MUT==2
#define NEEDED(k) 1
#else
#define NEEDED(k) MAJ(k)
#endif
#if MUT==1
#define HOLD(e) skip
#else
#define HOLD(e) prom[e]=PL
#endif
#define GONE(v,k) (IN(v,k) && cf[v]>k)
#define CLOSED(k) (GONE(0,k)+GONE(1,k)+GONE(2,k)+GONE(3,k)+GONE(4,k)>=NEEDED(k))
#define HERE(v,k) (cf[v]>=k && jn[v]==0)
#define OPENED(k) (HERE(0,k) || HERE(1,k) || HERE(2,k) || HERE(3,k) || HERE(4,k))
#if MUT==4
#define TERMS(e,k)
#else
#define TERM1(e,v,k) if :: (GONE(v,k) || HERE(v,k+1)) && mx[v]>mx[e] -> mx[e]=mx[v] :: else fi;
#define TERMS(e,k) TERM1(e,0,k) TERM1(e,1,k) TERM1(e,2,k) TERM1(e,3,k) TERM1(e,4,k)
#endif
/* A number above shows that the set left, and the one taken, are over. */
#define TAKESET(e) :: d_step{ cf[e]<LAST && (jn[e]==0 || OPENED(cf[e])) -> cf[e]++; jn[e]=1 }
#define HEAR(e) :: d_step{ jn[e]==1 && (CLOSED(cf[e]-1) || OPENED(cf[e])) -> TERMS(e,cf[e]-1) jn[e]=0; HOLD(e) }
#if MUT==8
#define TOLD(e,v,c) (v!=e && IN(v,c) && SET(cf[v])==SET(c))
#else
#define TOLD(e,v,c) (v!=e && IN(v,c) && SET(cf[v])==SET(c) && jn[v]==0)
#endif
#define TOLD5(e,c) (TOLD(e,0,c)+TOLD(e,1,c)+TOLD(e,2,c)+TOLD(e,3,c)+TOLD(e,4,c))
#define NAMED1(e,v,c) if :: TOLD(e,v,c) -> if :: cf[v]>top -> top=cf[v] :: else fi; if :: mx[v]>high -> high=mx[v] :: else fi :: else fi;
#define NAMED(e,c) top=0; high=0; NAMED1(e,0,c) NAMED1(e,1,c) NAMED1(e,2,c) NAMED1(e,3,c) NAMED1(e,4,c)
#if MUT==9
#define ONWARD(e) true
#else
#define ONWARD(e) (jn[e]==0 -> top>cf[e] : top>=cf[e])
#endif
#define LEARN(e,c) :: d_step{ IN(e,c) && !(SET(cf[e])==SET(c) && jn[e]==0) && TOLD5(e,c)>=MAJ(c) -> NAMED(e,c) \
  if :: ONWARD(e) -> cf[e]=top; jn[e]=0; prom[e]=PL; if :: high>mx[e] -> mx[e]=high :: else fi :: else fi; top=0; high=0 }
#define JOIN(e) LEARN(e,0) LEARN(e,1)
#endif
#if SHAPE==7 /* the fifth is of no set */
#define ALL5(f) f(0) f(1) f(2) f(3)
#define EACH(f,p) f(p,0) f(p,1) f(p,2) f(p,3)
#else
#define ALL5(f) f(0) f(1) f(2) f(3) f(4)
#define EACH(f,p) f(p,0) f(p,1) f(p,2) f(p,3) f(p,4)
#endif
#define OLD(e) OLDREQ(e,2,0) OLDREQ(e,3,0) OLDREQ(e,2,1) OLDREQ(e,3,1) OLDREQ(e,2,2) OLDREQ(e,3,2) OLDREQ(e,4,0) OLDREQ(e,4,1) OLDREQ(e,4,2)

active proctype sys(){
#if !defined(FREE_SCS) && !defined(STOPPED)
 sc[NEWER]=NEWSET;
#endif
 do
 :: tick()
 NEWTERM(0,2) NEWTERM(1,3) NEWTERM(0,4)
 NEWROUND(0) NEWROUND(1)
#ifdef STOPPED
 :: d_step{ sc[0]<LAST && OVER -> HALT(0); HALT(1) }
#endif
#ifdef FREE_SCS
 SCFG(0) SCFG(1) SCRASH(0) SCRASH(1)
#endif
 EACH(DELIV,0) EACH(DELIV,1)
#ifdef OLDREQS
 ALL5(OLD)
#endif
 WIN(0,0) WIN(0,M) WIN(1,0) WIN(1,M)
#ifdef BOOT
 ALL5(REBOOT)
#endif
 ALL5(TAKESET) ALL5(JOIN)
 ALL5(HEAR)
 od }
