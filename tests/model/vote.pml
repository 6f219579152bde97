/* Authority by voting agents (SAFETY 2, V1-V9): two SCS as candidates, three electors, a network that loses, delays,
 * duplicates and reorders. Time is discrete.
 *
 * One tick is one unit of every clock; M stands for La*2rho + eps, so the shortest true promise is LA+M and the longest
 * true authority too (WIN with M: the slow clock of a holder). An even term belongs to SCS 0, an odd one to SCS 1. Every
 * request ever sent may arrive at any later time (OLDREQ); only the newest round's answers count (DELIV). A dead holder's
 * authority lives on as `g`: what it granted may still be alive.
 *
 * Asserted in WIN: S2 (never two authorities, the dead holder's included) and S3 (authority only with a higher term than
 * ever, or by the same run that won this term).
 * Switches: -DREL terms are given back (V7, V8); -DRAISE the holder raises its own term (V9); -DDISK=1|2|3 that many
 * electors may lose their record (V6); -DMULTI several rounds at once, each answer counted from its own round's sending;
 * -DTMAX=3|5|7 highest term; -DLA; -DREACH must fail: SCS 1 has authority after SCS 0 had it.
 * -DMUT=n breaks one rule; README.md says which. */
#ifndef MUT
#define MUT 0
#endif
#ifndef LA
#define LA 2
#endif
#ifndef M
#define M 1
#endif
#ifndef TMAX
#define TMAX 5
#endif
#if MUT==5
#define PL LA            /* no drift margin: the text "for La" */
#else
#define PL (LA+M)
#endif
#if MUT==4
#define MAJ 1
#else
#define MAJ 2
#endif
byte mx[3];              /* durable: highest term voted for; the owner is a function of the term */
byte prom[3];            /* volatile: until when no vote for another term */
#ifdef DISK
byte lost[3];            /* 0 ok; else bit 0 record lost, bit 1+e: elector e read */
#define LOST(e) (lost[e]!=0)
#else
#define LOST(e) false
#endif
#if MUT==6
byte ow[3]; byte hio;
#endif
byte term[2];            /* SCS i: term it works with, 0 none */
byte rage[2];            /* newest round, age+1, 0 none */
byte ans[2];             /* electors that answered the newest round */
byte a[2];               /* authority left, own clock at its slowest */
bool won[2];
byte g;                  /* ghost: grants and authority of a dead incarnation that are still alive */
byte hi;                 /* highest term that ever had authority */
byte sent;               /* terms whose requests are in the network for ever */
#ifdef REL
byte rel;                /* terms given back */
#endif
#ifdef RAISE
byte prv[8];
#define RAISED(e,t) || (prv[t]>0 && prv[t]==mx[e])
#else
#define RAISED(e,t)
#endif
#define dec(x) if :: x>0 -> x-- :: else fi
#define BIT(t) (1<<(t))
#define CNT(x) (((x)&1)+(((x)>>1)&1)+(((x)>>2)&1))
#if MUT==3
#define OKV(e,i,t) (t>=mx[e])
#elif MUT==6
#define OKV(e,i,t) (t>=mx[e] && (prom[e]==0 || (mx[e]==t && ow[e]==i)))
#elif MUT==8
#define OKV(e,i,t) (t>=mx[e] && (prom[e]==0 || (mx[e]&1)==(t&1)))
#elif MUT==13
#define OKV(e,i,t) (((t>=mx[e]) && (prom[e]==0 || mx[e]==t)) || (mx[e]>t && ((mx[e]&1)==(t&1))))
#else
#define OKV(e,i,t) (!LOST(e) && t>=mx[e] && (prom[e]==0 || mx[e]==t RAISED(e,t)))
#endif
#if MUT==6
#define VOTE(e,i,t) mx[e]=t; ow[e]=i; prom[e]=PL
#elif MUT==13
#define VOTE(e,i,t) if :: t>mx[e] -> mx[e]=t :: else fi; prom[e]=PL
#else
#define VOTE(e,i,t) mx[e]=t; prom[e]=PL
#endif
/* a term is taken only when it is new; a candidate may know nothing (lost data base): lower unused terms are tried too */
#if MUT==16
#define FREE(i,t) true
#elif MUT==6
#define FREE(i,t) ((sent & BIT(t+i))==0)   /* each SCS counts for itself only */
#else
#define FREE(i,t) ((sent & BIT(t))==0)
#endif
#if MUT==6
#define SENT(i,t) BIT(t+i)
#else
#define SENT(i,t) BIT(t)
#endif
#define NEWTERM(i,t) :: d_step{ a[i]==0 && t<=TMAX && term[i]!=t && FREE(i,t) -> term[i]=t; won[i]=0; rage[i]=1; ans[i]=0; sent=sent|SENT(i,t) }
#if MUT==7
#define NEWROUND(i) :: d_step{ term[i]>0 && rage[i]!=1 -> rage[i]=1 }
#else
#define NEWROUND(i) :: d_step{ term[i]>0 && rage[i]!=1 -> rage[i]=1; ans[i]=0 }
#endif
#define DELIV(i,e) :: d_step{ rage[i]>0 && OKV(e,i,term[i]) && ((ans[i]&BIT(e))==0 || prom[e]<PL) -> VOTE(e,i,term[i]); ans[i]=ans[i]|BIT(e) }
#define OLDREQ(e,t) :: d_step{ t<=TMAX && (sent&BIT(t))!=0 && OKV(e,(t&1),t) && (mx[e]!=t || prom[e]<PL) -> VOTE(e,(t&1),t) }
#if MUT==1
#define VAL(i,m) (LA+m)
#else
#define VAL(i,m) (LA+m-(rage[i]-1))
#endif
#if MUT==6
#define MONO(i) assert(term[i]>hi || (term[i]==hi && hio==i)); hio=i;
#else
#define MONO(i) assert(term[i]>hi || (term[i]==hi && won[i]));
#endif
#ifdef REACH
#define RCH(i) assert(!(i==1 && hi>0 && (hi&1)==0));
#else
#define RCH(i)
#endif
#define INV assert((a[0]==0 || a[1]==0) && (g==0 || (a[0]==0 && a[1]==0)))
#define WIN(i,m) :: d_step{ rage[i]>0 && CNT(ans[i])>=MAJ && VAL(i,m)>a[i] -> a[i]=VAL(i,m); MONO(i) RCH(i) hi=term[i]; won[i]=1; INV }
#define SCRASH(i) :: d_step{ term[i]>0 -> if :: a[i]>g -> g=a[i] :: else fi; a[i]=0; term[i]=0; won[i]=0; rage[i]=0; ans[i]=0 }
/* an elector that is down is one that receives nothing; REBOOT is the moment it is back */
#if MUT==2
#define REBOOT(e) :: d_step{ prom[e]>0 -> prom[e]=0 }
#elif MUT==12
#define REBOOT(e) :: d_step{ mx[e]>0 || prom[e]<PL -> prom[e]=PL; mx[e]=0 }
#else
#define REBOOT(e) :: d_step{ prom[e]<PL -> prom[e]=PL }
#endif
#ifdef DISK
#define LOSE(e) :: d_step{ mx[e]>0 || lost[e]>1 -> mx[e]=0; prom[e]=PL; lost[e]=1 }
#if MUT==11
#define LEARN(e,x,y) :: d_step{ lost[e]!=0 && prom[e]==0 -> lost[e]=0 }
#elif MUT==14
#define LEARN(e,x,y) :: d_step{ lost[e]!=0 && prom[e]==0 && lost[x]==0 -> mx[e]=mx[x]; lost[e]=0 }
#else
#if MUT==15
#define QOK(e) true
#else
#define QOK(e) (prom[e]==0)
#endif
#if MUT==17
#define LOK(x) true
#else
#define LOK(x) (lost[x]==0)
#endif
#define LEARN(e,x,y) :: d_step{ lost[e]!=0 && QOK(e) && LOK(x) && (lost[e]&BIT(1+x))==0 -> if :: mx[x]>mx[e] -> mx[e]=mx[x] :: else fi; lost[e]=lost[e]|BIT(1+x) } \
  :: d_step{ lost[e]!=0 && prom[e]==0 && (lost[e]&BIT(1+x))!=0 && (lost[e]&BIT(1+y))!=0 -> lost[e]=0 }
#endif
#endif
#ifdef REL
#if MUT==9
#define GIVEUP(i) :: d_step{ term[i]>0 -> rel=rel|BIT(term[i]); if :: a[i]>g -> g=a[i] :: else fi; a[i]=0; term[i]=0; won[i]=0; rage[i]=0; ans[i]=0 }
#elif MUT==10
#define GIVEUP(i) :: d_step{ term[i]>0 && a[i]==0 && (rel&BIT(term[i]))==0 -> rel=rel|BIT(term[i]) }
#else
#define GIVEUP(i) :: d_step{ term[i]>0 && a[i]==0 -> rel=rel|BIT(term[i]); term[i]=0; won[i]=0; rage[i]=0; ans[i]=0 }
#endif
#define GETREL(e) :: d_step{ prom[e]>0 && (rel&BIT(mx[e]))!=0 -> prom[e]=0 }
#endif
#ifdef RAISE
#if MUT==18   /* a new incarnation of the SCS claims the promise made to the old one */
#undef NEWTERM
#define NEWTERM(i,t) :: d_step{ a[i]==0 && t<=TMAX && term[i]!=t && FREE(i,t) -> term[i]=t; won[i]=0; rage[i]=1; ans[i]=0; sent=sent|BIT(t); prv[t]=t-2 }
#endif
#define HOLD(i) (a[i]>0)
#define RAISETO(i,t) :: d_step{ HOLD(i) && term[i]>0 && t>term[i] && t<=TMAX && FREE(i,t) -> prv[t]=term[i]; term[i]=t; rage[i]=1; ans[i]=0; sent=sent|BIT(t) }
#endif
#ifdef MULTI   /* several rounds at once: per elector the newest answered round counts, authority runs from the second newest */
byte s[6]; byte rm[2];   /* what the answer of e supports, own clock at its slowest; rounds in the network, bit = age */
#undef NEWTERM
#undef NEWROUND
#undef DELIV
#undef WIN
#undef SCRASH
#define ALL ((1<<(LA+M))-1)
#if MUT==19   /* answers given to another term are counted */
#define SCLR(i) skip
#else
#define SCLR(i) s[i*3]=0;s[i*3+1]=0;s[i*3+2]=0
#endif
#define NEWTERM(i,t) :: d_step{ a[i]==0 && t<=TMAX && term[i]!=t && FREE(i,t) -> term[i]=t; won[i]=0; rm[i]=1; SCLR(i); sent=sent|BIT(t) }
#define NEWROUND(i) :: d_step{ term[i]>0 && (rm[i]&1)==0 -> rm[i]=rm[i]|1 }
#define DELIV1(i,e,k) :: d_step{ ((rm[i]>>k)&1) && OKV(e,i,term[i]) && s[i*3+e]<LA+M-k -> VOTE(e,i,term[i]); s[i*3+e]=LA+M-k }
#define DELIV(i,e) DELIV1(i,e,0) DELIV1(i,e,1) DELIV1(i,e,2)
#define MIN2(x,y) ((x)<(y)->(x):(y))
#define MAX2(x,y) ((x)<(y)->(y):(x))
#define SECOND(i) MAX2(MIN2(s[i*3],s[i*3+1]),MIN2(s[i*3+2],MAX2(s[i*3],s[i*3+1])))
#define WIN(i,m) :: d_step{ SECOND(i)>a[i]+M-m -> a[i]=SECOND(i)-(M-m); MONO(i) hi=term[i]; won[i]=1; INV }
#define SCRASH(i) :: d_step{ term[i]>0 -> if :: a[i]>g -> g=a[i] :: else fi; a[i]=0; term[i]=0; won[i]=0; rm[i]=0; s[i*3]=0;s[i*3+1]=0;s[i*3+2]=0 }
#define MTICK dec(s[0]);dec(s[1]);dec(s[2]);dec(s[3]);dec(s[4]);dec(s[5]); rm[0]=(rm[0]<<1)&ALL; rm[1]=(rm[1]<<1)&ALL
#else
#define MTICK skip
#endif
inline tick(){ d_step{ dec(prom[0]);dec(prom[1]);dec(prom[2]);dec(a[0]);dec(a[1]);dec(g);
  if :: rage[0]>=LA+M -> rage[0]=0;ans[0]=0 :: rage[0]>0 && rage[0]<LA+M -> rage[0]++ :: else fi;
  if :: rage[1]>=LA+M -> rage[1]=0;ans[1]=0 :: rage[1]>0 && rage[1]<LA+M -> rage[1]++ :: else fi; MTICK;
} }
active proctype sys(){
 do
 :: tick()
 NEWTERM(0,2) NEWTERM(0,4)
#if MUT==6
 NEWTERM(1,2) NEWTERM(1,4)
#else
 NEWTERM(1,3) NEWTERM(1,5)
#if TMAX>=6
 NEWTERM(0,6) NEWTERM(1,7)
#endif
#endif
 NEWROUND(0) NEWROUND(1)
 DELIV(0,0) DELIV(0,1) DELIV(0,2) DELIV(1,0) DELIV(1,1) DELIV(1,2)
#if MUT!=6
 OLDREQ(0,2) OLDREQ(1,2) OLDREQ(2,2) OLDREQ(0,3) OLDREQ(1,3) OLDREQ(2,3)
 OLDREQ(0,4) OLDREQ(1,4) OLDREQ(2,4) OLDREQ(0,5) OLDREQ(1,5) OLDREQ(2,5)
#if TMAX>=6
 OLDREQ(0,6) OLDREQ(1,6) OLDREQ(2,6) OLDREQ(0,7) OLDREQ(1,7) OLDREQ(2,7)
#endif
#endif
 WIN(0,0) WIN(0,M) WIN(1,0) WIN(1,M)
 SCRASH(0) SCRASH(1)
 REBOOT(0) REBOOT(1) REBOOT(2)
#ifdef DISK
 LOSE(0) LEARN(0,1,2) LEARN(0,2,1)
#if DISK>1
 LOSE(1) LEARN(1,0,2) LEARN(1,2,0)
#endif
#if DISK>2
 LOSE(2) LEARN(2,0,1) LEARN(2,1,0)
#endif
#endif
#ifdef REL
 GIVEUP(0) GIVEUP(1) GETREL(0) GETREL(1) GETREL(2)
#endif
#ifdef RAISE
 RAISETO(0,4) RAISETO(1,5)
#if TMAX>=6
 RAISETO(0,6) RAISETO(1,7)
#endif
#endif
 od }
