/* One-way loss (SAFETY B4) as bounded liveness: one SCS, host 0 that it prefers, host 1. Any set of the links of host 0
 * breaks, in one direction or both, at any moment and for good; host 1 reaches the SCS both ways. A tick is a poll period.
 *
 * Asserted: S1, and that the pair is never without a primary for more than BOUND periods: a deaf member is given up, and
 * the other gets the grant. Every poll is answered, and no grant answers a poll that echoes no recent answer.
 * Switches: -DLOSSY every second round trip may fail anywhere; -DREACH must fail: host 1 is primary after the break.
 * -DMUT=1 no echo is asked for; -DMUT=2 only grants are echoed, and a first grant needs no echo. */
#ifndef MUT
#define MUT 0
#endif
#if MUT==1
#define ECHO 0
#elif MUT==2
#define ECHO 1                /* of a grant */
#else
#define ECHO 2                /* of any answer */
#endif
#ifndef L
#define L 4
#endif
#define K 1
#define M 1
#define PEER (L+M+K)
#ifndef E
#define E 2               /* an echo older than this many periods does not count */
#endif
#ifndef BOUND
#define BOUND (2*(L+M+K)+4)
#endif
bool brk[4];              /* 0 SCS->A, 1 A->SCS, 2 B->A, 3 A->B */
bool broken;
byte role[2], ls[2], lp[2], kt[2], promise[2], hor[2];
byte seen[2];             /* h: age+1 of the newest answer (ECHO 2) or grant (ECHO 1) it received; 0 never */
byte un[2];               /* SCS: ECHO 1: periods since the oldest grant that was not echoed, 0 none */
byte np;
bool d[6], lost[3];
#define dec(x) if :: x>0 -> x-- :: else fi
inline pairlink(n,x1,x2,k1,k2){  /* do the two directions of a link deliver in this period; LOSSY: a round trip may fail, never two in a row */
#ifdef LOSSY
  if :: lost[n] -> d[x1]=k1; d[x2]=k2; lost[n]=0
     :: !lost[n] -> if :: d[x1]=k1; d[x2]=k2 :: d[x1]=0; d[x2]=k2; lost[n]=1 :: d[x1]=k1; d[x2]=0; lost[n]=1 fi fi
#else
  d[x1]=k1; d[x2]=k2
#endif
}
/* 0 SCS->A 1 A->SCS 2 B->A 3 A->B 4 SCS->B 5 B->SCS */
#define UP(h) d[((h)==0->1:5)]
#define DOWN(h) d[((h)==0->0:4)]
#define TOPEER(h) d[((h)==0->3:2)]
#define FROMPEER(h) d[((h)==0->2:3)]
inline ticks(h){ dec(ls[h]); dec(lp[h]); dec(promise[h]); dec(hor[h]); if :: seen[h]>0 && seen[h]<9 -> seen[h]++ :: else fi; if :: un[h]>0 && un[h]<9 -> un[h]++ :: else fi;
  if :: role[h]==2 -> role[h]=0 :: role[h]==1 && ls[h]==0 && lp[h]==0 -> role[h]=2 :: else fi }
#if MUT==1
#define MAY(h) true
#elif MUT==2
#define MAY(h) (un[h]<=E)
#else
#define MAY(h) (seen[h]>0 && seen[h]<=E+1)
#endif
#ifdef PREFERHOLDER
#define OTHERCLAIMS(h) (UP(1-h) && role[1-h]==1)
#else
#define OTHERCLAIMS(h) false
#endif
/* one poll of h and its answer */
inline exch(h){
  if :: UP(h) ->
     if :: ECHO==1 && seen[h]>0 && seen[h]<=E+1 -> un[h]=0 :: else fi;
     if :: ECHO==1 && un[h]>E && hor[h]==0 -> un[h]=0 :: else fi;   /* expired: it may be tried again */
     if :: MAY(h) && hor[1-h]==0 && !OTHERCLAIMS(h) -> hor[h]=L+M+K; if :: un[h]==0 -> un[h]=1 :: else fi;
         if :: DOWN(h) -> seen[h]=1; if :: role[h]==1 -> ls[h]=L :: role[h]==0 && promise[h]==0 -> role[h]=1; ls[h]=L; lp[h]=0 :: else fi; assert(!(role[0]&&role[1]))
            :: else fi
        :: else -> if :: DOWN(h) && ECHO==2 -> seen[h]=1 :: else fi
     fi
  :: else fi }
inline peer(h){ if :: role[h]==1 && TOPEER(h) && role[1-h]==0 -> promise[1-h]=PEER; if :: FROMPEER(h) -> lp[h]=L :: else fi :: else fi }
#ifdef REACH
#define RCH assert(!(broken && role[1]==1))
#else
#define RCH skip
#endif
active proctype sys(){
  do
  :: d_step{ ticks(0); ticks(1); if :: role[0]==1 || role[1]==1 -> np=0 :: else -> np++ fi; assert(np<=BOUND); RCH }
     atomic{ pairlink(0,0,1,!brk[0],!brk[1]); pairlink(1,2,3,!brk[2],!brk[3]); pairlink(2,4,5,1,1) }
     d_step{ exch(0); exch(1); peer(0); peer(1) }
  :: !broken -> atomic{ broken=1; np=0; if :: brk[0]=1 :: skip fi; if :: brk[1]=1 :: skip fi; if :: brk[2]=1 :: skip fi; if :: brk[3]=1 :: skip fi }
  od }
