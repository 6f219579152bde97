/* Authority by voting agents with N electors (SAFETY 2, V1-V5, V7-V9), five unless said otherwise: the rules of vote.pml
 * without lost records, in a form that is small enough for five.
 *
 * Electors differ in nothing, so their states are kept sorted: permutations of one state are one state. An elector is one
 * byte: highest term voted for, promise, and for each SCS whether it answered the newest round. Clocks, terms and `g` as in
 * vote.pml: M stands for La*2rho + eps, even terms are SCS 0's, requests ever sent may arrive at any later time.
 *
 * Asserted in WIN: S2 and S3. Switches: -DN=3|5; -DLA=1|2; -DTMAX=3..7; -DREL (V7, V8); -DRAISE (V9); -DREACH must fail:
 * SCS 1 has authority after SCS 0 had it. -DMUT=n breaks one rule; README.md says which. */
#ifndef MUT
#define MUT 0
#endif
#ifndef N
#define N 5
#endif
#ifndef LA
#define LA 1
#endif
#ifndef TMAX
#define TMAX 5
#endif
#define M 1
#define PL (LA+M)
#if MUT==4                /* less than a majority */
#define MAJ (N/2)
#else
#define MAJ (N/2+1)
#endif
byte el[N];               /* term<<4 | promise<<2 | answered SCS 1, 0 */
byte term[2], rage[2], a[2];
bool won[2];
byte g, hi, sent, rel, x;
byte prv[8];              /* the term that a raised one follows */

#define BIT(t) (1<<(t))
#define MX(e) (el[e]>>4)
#define PROM(e) ((el[e]>>2)&3)
#define AN(e,i) ((el[e]>>(i))&1)
#define SETV(e,t) el[e]=((t)<<4)|(PL<<2)|(el[e]&3)
#if N==5
#define ALL5(f) f(0) f(1) f(2) f(3) f(4)
#define EACH(f,p) f(p,0) f(p,1) f(p,2) f(p,3) f(p,4)
#define COUNT(i) (AN(0,i)+AN(1,i)+AN(2,i)+AN(3,i)+AN(4,i))
#define CANON cs(0,1); cs(3,4); cs(2,4); cs(2,3); cs(0,3); cs(0,2); cs(1,4); cs(1,3); cs(1,2)
#else
#define ALL5(f) f(0) f(1) f(2)
#define EACH(f,p) f(p,0) f(p,1) f(p,2)
#define COUNT(i) (AN(0,i)+AN(1,i)+AN(2,i))
#define CANON cs(0,1); cs(1,2); cs(0,1)
#endif
inline dec(v){ if :: v>0 -> v-- :: else fi }
inline cs(p,q){ if :: el[p]>el[q] -> x=el[p]; el[p]=el[q]; el[q]=x; x=0 :: else fi }

#if MUT==3                /* the promise is not looked at */
#define OKV(e,t) (t>=MX(e))
#elif MUT==8              /* the promise is to the owner, not to the term */
#define OKV(e,t) (t>=MX(e) && (PROM(e)==0 || (MX(e)&1)==(t&1)))
#elif MUT==13             /* a lower term of the same owner is not refused */
#define OKV(e,t) ((t>=MX(e) && (PROM(e)==0 || MX(e)==t)) || (MX(e)>t && (MX(e)&1)==(t&1)))
#else
#define OKV(e,t) (t>=MX(e) && (PROM(e)==0 || MX(e)==t || (prv[t]>0 && prv[t]==MX(e))))
#endif
#if MUT==16               /* a restarted SCS uses a term again */
#define FREE(t) true
#else
#define FREE(t) ((sent&BIT(t))==0)
#endif
#if MUT==1                /* authority counts from the answers */
#define VAL(i,m) (LA+m)
#else
#define VAL(i,m) (LA+m-(rage[i]-1))
#endif
#define NOANS1(e,i) el[e]=el[e]&(3-BIT(i)+252);
#if MUT==7                /* answers to older rounds count */
#define CLRANS(i) skip
#elif N==5
#define CLRANS(i) NOANS1(0,i) NOANS1(1,i) NOANS1(2,i) NOANS1(3,i) NOANS1(4,i) CANON
#else
#define CLRANS(i) NOANS1(0,i) NOANS1(1,i) NOANS1(2,i) CANON
#endif
#if N==5
#define WIPE(i) NOANS1(0,i) NOANS1(1,i) NOANS1(2,i) NOANS1(3,i) NOANS1(4,i) CANON
#else
#define WIPE(i) NOANS1(0,i) NOANS1(1,i) NOANS1(2,i) CANON
#endif
#if MUT==18               /* a new run of the SCS claims the promise made to the former */
#define FOLLOWS(t) prv[t]=(t>3->t-2:0)
#else
#define FOLLOWS(t) skip
#endif
#define NEWTERM(i,t) :: d_step{ t<=TMAX && a[i]==0 && term[i]!=t && FREE(t) -> term[i]=t; won[i]=0; rage[i]=1; sent=sent|BIT(t); FOLLOWS(t); WIPE(i) }
#define NEWROUND(i) :: d_step{ term[i]>0 && rage[i]!=1 -> rage[i]=1; CLRANS(i) }
#define DELIV(i,e) :: d_step{ rage[i]>0 && OKV(e,term[i]) && (AN(e,i)==0 || PROM(e)<PL) -> SETV(e,term[i]); el[e]=el[e]|BIT(i); CANON }
#define OLDREQ(t,e) :: d_step{ t<=TMAX && (sent&BIT(t))!=0 && OKV(e,t) && (MX(e)!=t || PROM(e)<PL) -> SETV(e,t); CANON }
#ifdef REACH
#define RCH(i) assert(!(i==1 && hi>0 && (hi&1)==0));
#else
#define RCH(i)
#endif
#define WIN(i,m) :: d_step{ rage[i]>0 && COUNT(i)>=MAJ && VAL(i,m)>a[i] -> a[i]=VAL(i,m); \
  assert(term[i]>hi || (term[i]==hi && won[i])); RCH(i) hi=term[i]; won[i]=1; \
  assert((a[0]==0 || a[1]==0) && (g==0 || (a[0]==0 && a[1]==0))) }
#define GHOST(i) if :: a[i]>g -> g=a[i] :: else fi; a[i]=0
#define SCRASH(i) :: d_step{ term[i]>0 -> GHOST(i); term[i]=0; won[i]=0; rage[i]=0; WIPE(i) }
#if MUT==2                /* a restarted elector has forgotten its promise */
#define REBOOT(e) :: d_step{ PROM(e)>0 -> el[e]=(MX(e)<<4)|(el[e]&3); CANON }
#elif MUT==12             /* the vote is not durable */
#define REBOOT(e) :: d_step{ MX(e)>0 || PROM(e)<PL -> SETV(e,0); CANON }
#else
#define REBOOT(e) :: d_step{ PROM(e)<PL -> SETV(e,MX(e)); CANON }
#endif
#if MUT==9                /* given back while its authority lives */
#define GIVEUP(i) :: d_step{ term[i]>0 -> rel=rel|BIT(term[i]); GHOST(i); term[i]=0; won[i]=0; rage[i]=0; WIPE(i) }
#elif MUT==10             /* given back and used on */
#define GIVEUP(i) :: d_step{ term[i]>0 && a[i]==0 && (rel&BIT(term[i]))==0 -> rel=rel|BIT(term[i]) }
#else
#define GIVEUP(i) :: d_step{ term[i]>0 && a[i]==0 -> rel=rel|BIT(term[i]); term[i]=0; won[i]=0; rage[i]=0; WIPE(i) }
#endif
#define GETREL(e) :: d_step{ PROM(e)>0 && (rel&BIT(MX(e)))!=0 -> el[e]=(MX(e)<<4)|(el[e]&3); CANON }
#define RAISETO(i,t) :: d_step{ t<=TMAX && a[i]>0 && term[i]>0 && t>term[i] && FREE(t) -> prv[t]=term[i]; term[i]=t; rage[i]=1; sent=sent|BIT(t); WIPE(i) }
inline older(i){ if :: rage[i]>=LA+M -> rage[i]=0; WIPE(i) :: rage[i]>0 && rage[i]<LA+M -> rage[i]++ :: else fi }
#define FADE(e) if :: PROM(e)>0 -> el[e]=el[e]-4 :: else fi;
inline tick(){ d_step{ ALL5(FADE) dec(a[0]); dec(a[1]); dec(g); older(0); older(1); CANON } }

active proctype sys(){
 do
 :: tick()
 NEWTERM(0,2) NEWTERM(1,3) NEWTERM(0,4) NEWTERM(1,5) NEWTERM(0,6) NEWTERM(1,7)
 NEWROUND(0) NEWROUND(1)
 EACH(DELIV,0) EACH(DELIV,1)
 EACH(OLDREQ,2) EACH(OLDREQ,3) EACH(OLDREQ,4) EACH(OLDREQ,5) EACH(OLDREQ,6) EACH(OLDREQ,7)
 WIN(0,0) WIN(0,M) WIN(1,0) WIN(1,M)
 SCRASH(0) SCRASH(1)
 ALL5(REBOOT)
#ifdef REL
 GIVEUP(0) GIVEUP(1) ALL5(GETREL)
#endif
#ifdef RAISE
 RAISETO(0,4) RAISETO(1,5) RAISETO(0,6) RAISETO(1,7)
#endif
 od }
