/* Authority by a compare-and-swap register (SAFETY 2, A1-A4), leases and peer promises (B1-B3, 4): two hosts with an LCA
 * each, two SCS, one register. Time is discrete; everything in flight may be lost, late or overtaken.
 *
 * One tick is one unit of every clock. M stands for duration*2rho + eps: a clock that runs slowly is a host that adds M
 * to what it was given (RECV and PRECV with M, RACK and TAKE with M), a host that rounds down adds 0. Countdowns replace
 * instants: `ls[h]` is what is left of the lease from the SCS, `hor[i*2+h]` what is left of the horizon that SCS i keeps
 * for host h. A poll in flight is its age + 1, a grant in flight what is left of it, counted from when the poll was sent.
 * An index h is a host, 1-h its peer; i is an SCS.
 *
 * Asserted: S1 (RECV: never two acting, a host being fenced included) and S2 (TAKE, RACK: never two SCS with authority).
 * Switches: -DL -DLA length of leases and authority; -DONESCS, -DNOPEER, -DNOCRASH take parts away; -DFREEZE an LCA may
 * stand still, its keeper does not; -DREACH must fail: a host is primary by the second SCS after a takeover.
 * -DMUT=n breaks one rule; README.md says which. */
#ifndef MUT
#define MUT 0
#endif
#ifndef L
#define L 2              /* host lease */
#endif
#ifndef LA
#define LA 2             /* authority lease */
#endif
#define K 1              /* from a lease's end until the application cannot act */
#define M 1
#define PEER (L+M+K)     /* length of a peer's promise, and of the quarantine after a start */

byte role[2];            /* 0 none, 1 primary, 2 being fenced and still acting */
byte ls[2], lp[2];       /* lease from an SCS, from the peer */
byte kt[2];              /* what is left until the fence is certain */
byte promise[2];         /* given by h to its peer */
byte quar[2];            /* after a start */
bool hup[2];
bool fz[2];              /* the agent stands still (SIGSTOP, swap, scheduler) */
byte poll[4];            /* h*2+i: age + 1 of a poll, 0 none */
byte grant[4];           /* h*2+i: what is left of a grant */
byte ppoll[2], pgr[2];   /* the same between the hosts: poll of h, promise to h */
byte a[2];               /* authority of SCS i */
byte refage[2];          /* refresh in flight, age + 1 */
bool refok[2];           /* it was committed, its answer is in flight */
byte hor[4];             /* i*2+h */
bool obs[2];             /* SCS i has read the present value of the register and counts */
bool rd[2];              /* mutant 13: a read is in flight */
byte w[2];               /* what is left to wait before the takeover */
byte owner;              /* the register: 0, 1, or 2 for nobody */
byte x;

#define min(p,q) ((p)<(q)->(p):(q))
inline dec(v){ if :: v>0 -> v-- :: else fi }
inline age(v,lim){ if :: v>0 && v<lim -> v++ :: v>=lim -> v=0 :: else fi }
inline refresh_age(i){ if :: refage[i]>=LA -> refage[i]=0; refok[i]=0 :: refage[i]>0 && refage[i]<LA -> refage[i]++ :: else fi }

/* The lease's end, seen by the agent (K from then on) or, where the agent stands still, by the keeper in the same tick. */
inline fence(h){
  if :: fz[h] && MUT==9 -> skip
     :: fz[h] && MUT!=9 && role[h]==1 && ls[h]==0 && lp[h]==0 -> role[h]=0
     :: fz[h] && MUT!=9 && role[h]==2 -> role[h]=0
     :: !fz[h] && role[h]==2 -> kt[h]--; if :: kt[h]==0 -> role[h]=0 :: else fi
     :: !fz[h] && role[h]==1 && ls[h]==0 && lp[h]==0 -> role[h]=2; kt[h]=K
     :: else
  fi }

inline tick(){ d_step{
  dec(ls[0]); dec(ls[1]); dec(lp[0]); dec(lp[1]);
  dec(promise[0]); dec(promise[1]); dec(quar[0]); dec(quar[1]);
  dec(grant[0]); dec(grant[1]); dec(grant[2]); dec(grant[3]); dec(pgr[0]); dec(pgr[1]);
  age(poll[0],L); age(poll[1],L); age(poll[2],L); age(poll[3],L); age(ppoll[0],L); age(ppoll[1],L);
  dec(a[0]); dec(a[1]); dec(w[0]); dec(w[1]);
  refresh_age(0); refresh_age(1);
  dec(hor[0]); dec(hor[1]); dec(hor[2]); dec(hor[3]);
  fence(0); fence(1);
} }

#if MUT==7                /* the lease runs from when the grant is received */
#define LEFT(h,i) (grant[h*2+i]>0->L:0)
#else
#define LEFT(h,i) grant[h*2+i]
#endif
#if MUT==3                /* a grant outlives the authority it comes from */
#define GRANTLEN(i) L
#else
#define GRANTLEN(i) min(L,a[i])
#endif
#if MUT==1                /* no drift margin */
#define HORLEN (L+K)
#elif MUT==2              /* no time for the fence */
#define HORLEN (L+M)
#else
#define HORLEN (L+M+K)
#endif
#if MUT==4                /* the peer's promise is not looked at */
#define PROMOK(h) true
#else
#define PROMOK(h) (promise[h]==0)
#endif
#if MUT==6                /* takeover without waiting */
#define WOK(i) true
#else
#define WOK(i) (w[i]==0)
#endif
#if MUT==5                /* no quarantine after a start */
#define QUARANTINE 0
#else
#define QUARANTINE PEER
#endif
#if MUT==10               /* a new authority grants at once */
#define FIRSTWAIT 0
#else
#define FIRSTWAIT (M+K)
#endif
#if MUT==14               /* the horizon is not kept: a later shorter grant lowers it */
#define HORSET(i,h) hor[i*2+h]=x+M+K
#elif MUT==15             /* a shorter grant gets a shorter horizon, never below what stands */
#define HORSET(i,h) if :: hor[i*2+h]<x+M+K -> hor[i*2+h]=x+M+K :: else fi
#else
#define HORSET(i,h) hor[i*2+h]=HORLEN
#endif

/* --- hosts --- */
#define HCRASH(h) :: d_step{ hup[h] -> hup[h]=0; fz[h]=0; role[h]=0; ls[h]=0; lp[h]=0; kt[h]=0; promise[h]=0; quar[h]=0; \
  poll[h*2]=0; poll[h*2+1]=0; ppoll[h]=0; grant[h*2]=0; grant[h*2+1]=0; pgr[h]=0 }
#define HBOOT(h) :: d_step{ !hup[h] -> hup[h]=1; quar[h]=QUARANTINE }
#define STILL(h) :: d_step{ hup[h] && !fz[h] -> fz[h]=1 } :: d_step{ fz[h] -> fz[h]=0 }
#define AWAKE(h) (hup[h] && !fz[h])
#define POLL(h,i) :: d_step{ AWAKE(h) && poll[h*2+i]!=1 -> poll[h*2+i]=1 }
#define GRANT(h,i) :: d_step{ poll[h*2+i]>0 && a[i]>0 && hor[i*2+(1-h)]==0 -> x=GRANTLEN(i); \
  if :: x>poll[h*2+i]-1 -> grant[h*2+i]=x-(poll[h*2+i]-1); HORSET(i,h) :: else fi; poll[h*2+i]=0; x=0 }
#ifdef REACH
#define RCH assert(!(owner==1 && role[1]==1));
#else
#define RCH
#endif
#define RECV(h,i,m) :: d_step{ AWAKE(h) && grant[h*2+i]>0 -> \
  if :: role[h]==1 && ls[h]<LEFT(h,i)+m -> ls[h]=LEFT(h,i)+m \
     :: role[h]==0 && PROMOK(h) && quar[h]==0 -> role[h]=1; ls[h]=LEFT(h,i)+m; lp[h]=0 \
     :: else fi; grant[h*2+i]=0; RCH assert(!(role[0]&&role[1])) }
#define PPOLL(h) :: d_step{ AWAKE(h) && role[h]==1 && ppoll[h]!=1 -> ppoll[h]=1 }
#if MUT==16               /* a promise is given without being kept */
#define PROMISED(h) skip
#elif MUT==17             /* a primary promises too */
#define PROMISED(h) promise[h]=PEER
#else
#define PROMISED(h) promise[h]=PEER
#endif
#define PGR(h) :: d_step{ ppoll[h]>0 && AWAKE(1-h) && (role[1-h]==0 || MUT==17) -> \
  if :: L>(ppoll[h]-1) -> pgr[h]=L-(ppoll[h]-1); PROMISED(1-h) :: else fi; ppoll[h]=0 }
#define PRECV(h,m) :: d_step{ AWAKE(h) && pgr[h]>0 && role[h]==1 -> if :: lp[h]<pgr[h]+m -> lp[h]=pgr[h]+m :: else fi; pgr[h]=0 }

/* --- SCS and register --- */
#if MUT==8                /* a restarted SCS goes on with its authority and without its horizons */
#define SCRASH(i) :: d_step{ hor[i*2]+hor[i*2+1]>0 -> hor[i*2]=0; hor[i*2+1]=0 }
#else
#define SCRASH(i) :: d_step{ a[i]>0 || obs[i] -> a[i]=0; hor[i*2]=0; hor[i*2+1]=0; obs[i]=0; w[i]=0; rd[i]=0; refage[i]=0; refok[i]=0 }
#endif
#define RSEND(i) :: d_step{ a[i]>0 && refage[i]==0 -> refage[i]=1; refok[i]=0 }
#if MUT==11               /* an unguarded write in the place of compare-and-swap */
#define CLR skip
#define OWN(i) true
#define TAKEX
#elif MUT==13             /* the wait begins when the read is sent, not when it has returned */
#define CLR obs[0]=0; obs[1]=0
#define OWN(i) (owner==i)
#define TAKEX refage[0]=0; refok[0]=0; refage[1]=0; refok[1]=0;
#else
#define CLR obs[0]=0; obs[1]=0; w[0]=0; w[1]=0
#define OWN(i) (owner==i)
#define TAKEX refage[0]=0; refok[0]=0; refage[1]=0; refok[1]=0;
#endif
#if MUT==12               /* authority counts from the answer */
#define AUTH(i) LA
#else
#define AUTH(i) (LA-(refage[i]-1))
#endif
#define S2 assert(a[0]==0 || a[1]==0);
#define RCOMMIT(i) :: d_step{ refage[i]>0 && !refok[i] && OWN(i) -> refok[i]=1; CLR }
#define RACK(i,m) :: d_step{ refage[i]>0 && refok[i] -> if :: a[i]>0 && a[i]<AUTH(i)+m -> a[i]=AUTH(i)+m :: else fi; refage[i]=0; refok[i]=0; S2 }
#if MUT==13
#define OBS(i) :: d_step{ !obs[i] && a[i]==0 && !rd[i] -> rd[i]=1; w[i]=LA+M } :: d_step{ rd[i] -> rd[i]=0; obs[i]=1 }
#else
#define OBS(i) :: d_step{ !obs[i] && a[i]==0 -> obs[i]=1; w[i]=LA+M }
#endif
#define TAKE(i,m) :: d_step{ obs[i] && WOK(i) && a[i]==0 -> owner=i; CLR; w[i]=0; obs[i]=0; refage[i]=0; refok[i]=0; TAKEX \
  a[i]=LA+m; hor[i*2]=FIRSTWAIT; hor[i*2+1]=FIRSTWAIT; S2 }

active proctype sys(){
 d_step{ hup[0]=1; hup[1]=1; owner=2; quar[0]=PEER; quar[1]=PEER; }
 do
 :: tick()
#ifndef NOCRASH
 HCRASH(0) HCRASH(1) HBOOT(0) HBOOT(1)
#endif
#ifdef FREEZE
 STILL(0) STILL(1)
#endif
 POLL(0,0) POLL(1,0) GRANT(0,0) GRANT(1,0) RECV(0,0,0) RECV(1,0,0) RECV(0,0,M) RECV(1,0,M)
 SCRASH(0) RSEND(0) RCOMMIT(0) RACK(0,0) RACK(0,M) OBS(0) TAKE(0,0) TAKE(0,M)
#ifndef ONESCS
 POLL(0,1) POLL(1,1) GRANT(0,1) GRANT(1,1) RECV(0,1,0) RECV(1,1,0) RECV(0,1,M) RECV(1,1,M)
 SCRASH(1) RSEND(1) RCOMMIT(1) RACK(1,0) RACK(1,M) OBS(1) TAKE(1,0) TAKE(1,M)
#endif
#ifndef NOPEER
 PPOLL(0) PPOLL(1) PGR(0) PGR(1) PRECV(0,0) PRECV(1,0) PRECV(0,M) PRECV(1,M)
#endif
 od }
