/* Release and planned switchover (SAFETY B5) with one SCS: two hosts with an LCA each, peer leases, one SCS that may
 * crash. Time is discrete, one tick one unit; clocks as in register.pml.
 *
 * poll_seq is abstracted to a generation: RELEASED{n} ends generation `gen`, everything for polls <= n belongs to a lower
 * one. A planned switchover is: DEMOTE at any time, the LCA stops the application and releases (RELEASE), GRANT to the
 * other with what was released (`cg`). RELEASED may arrive at any later time, any number of times (RELD). A start of a
 * host is a new incarnation: a new generation without a RELEASED of its own.
 *
 * Asserted in RECV: S1, never two acting.
 * Switches: -DNOCRASH; -DSCSCRASH with it: the SCS alone crashes; -DGM, -DGM1 releases and starts of host 0 and 1;
 * -DTWO two SCS: the authority passes to the other at any
 * moment, between DEMOTE and GRANT too, which then is in RECOVERING; each hears a RELEASED at a time of its own; -DSURVIVE the LCA dies and its application goes on until the end in the lease word, and a restarted keeper may release
 * the earlier incarnation; -DREACH must fail: a host is primary while the other's promise and horizon would still run.
 * -DMUT=n breaks one rule; README.md says which. */
#ifndef MUT
#define MUT 0
#endif
#ifndef L
#define L 2
#endif
#define K 1
#define M 1
#define PEER (L+M+K)
#ifndef GM1
#define GM1 GM           /* the same for host 1 */
#endif
#ifndef GM
#define GM 1             /* releases (and boots) per host */
#endif
byte role[2];            /* 0 none, 1 primary, 2 being stopped (still acting) */
byte ls[2], lp[2], kt[2];
byte promise[2], pt[2];  /* promise given by h to the peer; highest generation of the peer's polls it was given for */
byte quar[2];
bool hup[2];
byte gen[2];             /* current generation of h */
byte poll[2], opoll[2];  /* poll to the SCS, age+1: of the current, of an older generation */
byte pog[2];             /* generation of opoll */
byte grant[2], og[2];    /* remaining lease of a grant: for the current, for an older generation */
byte cg[2];              /* release of the peer carried by the grant to h */
byte ppoll[2], oppoll[2], ppog[2];
byte pgr[2], opgr[2];
bool sup; byte srec;
byte hor[2], hg[2];      /* SCS: horizon of h, highest generation granted */
#ifdef TWO
byte sg[4]; bool lead;   /* each SCS has heard of its own releases; the one with authority */
#define SG(i,h) sg[(i)*2+(h)]
#define LEAD lead
#define TAKEOVER :: d_step{ sup -> lead=1-lead; srec=NEWWAIT; hor[0]=0; hor[1]=0; hg[0]=0; hg[1]=0 }
#else
byte sgen[2];            /* SCS: generations of h below this are released */
#define SG(i,h) sgen[h]
#define LEAD 0
#endif
#if MUT==17              /* a new authority grants at once */
#define NEWWAIT 0
#else
#define NEWWAIT (L+M+K)
#endif
byte x;
#ifdef SURVIVE
byte okg[2];              /* highest generation for which a RELEASED was really sent */
#endif
#define dec(x) if :: x>0 -> x-- :: else fi
inline age(x,lim){ if :: x>0 && x<lim -> x++ :: x>=lim -> x=0 :: else fi }
inline fence(h){ if :: role[h]==2 -> kt[h]--; if :: kt[h]==0 -> role[h]=0 :: else fi
                    :: role[h]==1 && ls[h]==0 && lp[h]==0 -> role[h]=2; kt[h]=K
                    :: else fi }
inline tick(){ d_step{
  dec(ls[0]);dec(ls[1]);dec(lp[0]);dec(lp[1]);dec(promise[0]);dec(promise[1]);dec(quar[0]);dec(quar[1]);
  dec(grant[0]);dec(grant[1]);dec(og[0]);dec(og[1]);dec(pgr[0]);dec(pgr[1]);dec(opgr[0]);dec(opgr[1]);
  age(poll[0],L);age(poll[1],L);age(opoll[0],L);age(opoll[1],L);age(ppoll[0],L);age(ppoll[1],L);age(oppoll[0],L);age(oppoll[1],L);
  if :: opoll[0]==0 -> pog[0]=0 :: else fi; if :: opoll[1]==0 -> pog[1]=0 :: else fi;
  if :: oppoll[0]==0 -> ppog[0]=0 :: else fi; if :: oppoll[1]==0 -> ppog[1]=0 :: else fi;
  if :: grant[0]==0 -> cg[0]=0 :: else fi; if :: grant[1]==0 -> cg[1]=0 :: else fi;
  dec(srec);dec(hor[0]);dec(hor[1]);
  if :: promise[0]==0 -> pt[0]=0 :: else fi; if :: promise[1]==0 -> pt[1]=0 :: else fi;
  if :: hor[0]==0 -> hg[0]=0 :: else fi; if :: hor[1]==0 -> hg[1]=0 :: else fi;
  fence(0);fence(1);
} }
/* everything in flight for h becomes old */
#define OLD(h) if :: MUT==1 && grant[h]>og[h] -> og[h]=grant[h] :: else fi; grant[h]=0; cg[h]=0; if :: MUT==12 && pgr[h]>opgr[h] -> opgr[h]=pgr[h] :: else fi; pgr[h]=0; \
  if :: poll[h]>0 -> opoll[h]=poll[h]; pog[h]=gen[h] :: else fi; poll[h]=0; if :: ppoll[h]>0 -> oppoll[h]=ppoll[h]; ppog[h]=gen[h] :: else fi; ppoll[h]=0
#if MUT==8
#define STOPPED(h) if :: role[h]==1 -> role[h]=2; kt[h]=K :: else fi
#elif MUT==11
#define STOPPED(h) if :: role[h]==1 && lp[h]==0 -> role[h]=0 :: else fi
#else
#define STOPPED(h) role[h]=0; kt[h]=0
#endif
/* SURVIVE: the LCA process dies, its application goes on until the end in the lease word; a restarted LCA may report the earlier boot as released */
#if defined(SURVIVE) && MUT!=16
#define SENTREL(h) okg[h]=gen[h]
#define RG(h) okg[h]
#define BOOTREL(h) :: d_step{ hup[h] && role[h]==0 && okg[h]<gen[h] -> okg[h]=gen[h] }
#else
#define SENTREL(h) skip
#define RG(h) gen[h]
#define BOOTREL(h)
#endif
#define RELEASE(h) :: d_step{ hup[h] && gen[h]<(h==0->GM:GM1) && (role[h]>0 || grant[h]>0 || pgr[h]>0) -> STOPPED(h); ls[h]=0; if :: MUT!=11 -> lp[h]=0 :: else fi; OLD(h); gen[h]++; SENTREL(h) }
/* RELEASED for any earlier generation may arrive at any time, any number of times */
#if MUT==4
#define HCLR(h,k) hor[h]=0;hg[h]=0
#elif MUT==15   /* poll_seq compared without boot_id: a late RELEASED of an earlier boot covers everything of this one */
byte bg[2];
#define HCLR(h,k) if :: hg[h]<k || k<=bg[h] -> hor[h]=0;hg[h]=0 :: else fi
#else
#define HCLR(h,k) if :: hg[h]<k -> hor[h]=0;hg[h]=0 :: else fi
#endif
#define RELD(h,k) :: d_step{ sup && k<=RG(h) && (k>SG(LEAD,h) || MUT==4) -> if :: k>SG(LEAD,h) -> SG(LEAD,h)=k :: else fi; HCLR(h,k) }
#ifdef TWO
#define RELD2(h,k) :: d_step{ k<=RG(h) && k>SG(1-lead,h) -> SG(1-lead,h)=k }
#endif
#if MUT==2
#define EARLY(h) :: d_step{ sup && hor[h]>0 -> hor[h]=0;hg[h]=0 }
#else
#define EARLY(h)
#endif
#define POLL(h) :: d_step{ hup[h] && poll[h]!=1 -> poll[h]=1 }
#if MUT==6
#define TAGH(h,n) hg[h]=n
#else
#define TAGH(h,n) if :: n>hg[h] -> hg[h]=n :: else fi
#endif
#if MUT==18              /* of a member of which a release is known nothing is waited for */
#define RECOVERED(h) (srec==0 || SG(LEAD,1-h)>0)
#else
#define RECOVERED(h) (srec==0)
#endif
#define GRANT(h) :: d_step{ sup && RECOVERED(h) && poll[h]>0 && hor[1-h]==0 -> grant[h]=L-(poll[h]-1); cg[h]=SG(LEAD,1-h); hor[h]=L+M+K; TAGH(h,gen[h]); poll[h]=0 }
/* a delayed poll of an older generation is still answered when its release has not arrived */
#define OGRANT(h) :: d_step{ sup && RECOVERED(h) && opoll[h]>0 && SG(LEAD,h)<=pog[h] && hor[1-h]==0 -> if :: MUT==1 && og[h]<L-(opoll[h]-1) -> og[h]=L-(opoll[h]-1) :: else fi; hor[h]=L+M+K; TAGH(h,pog[h]); opoll[h]=0; pog[h]=0 }
#if MUT==3
#define FREED(h,k) (k>0)
#else
#define FREED(h,k) (pt[h]<k)
#endif
#if MUT==9
#define QFREE(h) (quar[h]==0 || cg[h]>0)
#else
#define QFREE(h) (quar[h]==0)
#endif
#if defined(REACH) && defined(TWO)
#define RCH(h) assert(!(lead && role[h]==1 && promise[h]>0));
#elif defined(REACH)
#define RCH(h) assert(!(role[h]==1 && promise[h]>0));
#else
#define RCH(h)
#endif
#define RECV(h,m) :: d_step{ hup[h] && grant[h]>0 -> \
   if :: role[h]==1 && ls[h]<grant[h]+m -> ls[h]=grant[h]+m \
      :: role[h]==0 && QFREE(h) && (promise[h]==0 || FREED(h,cg[h])) -> role[h]=1;ls[h]=grant[h]+m;lp[h]=0; RCH(h) promise[h]=0;pt[h]=0;quar[h]=0 \
      :: else fi; assert(!(role[0]&&role[1])) }
#if MUT==1
#define ORECV(h,m) :: d_step{ hup[h] && og[h]>0 -> if :: role[h]==1 && ls[h]<og[h]+m -> ls[h]=og[h]+m :: role[h]==0 && quar[h]==0 && promise[h]==0 -> role[h]=1;ls[h]=og[h]+m;lp[h]=0 :: else fi; assert(!(role[0]&&role[1])) }
#elif MUT==12   /* an old PROMISE is used */
#define ORECV(h,m) :: d_step{ hup[h] && opgr[h]>0 && role[h]==1 -> if :: lp[h]<opgr[h]+m -> lp[h]=opgr[h]+m :: else fi; opgr[h]=0 }
#else
#define ORECV(h,m)
#endif
#define PPOLL(h) :: d_step{ hup[h] && role[h]==1 && ppoll[h]!=1 -> ppoll[h]=1 }
#if MUT==5
#define TAGP(p,n) pt[p]=n
#else
#define TAGP(p,n) if :: n>pt[p] -> pt[p]=n :: else fi
#endif
#define PGR(h) :: d_step{ ppoll[h]>0 && hup[1-h] && role[1-h]==0 -> pgr[h]=L-(ppoll[h]-1); promise[1-h]=PEER; TAGP(1-h,gen[h]); ppoll[h]=0 }
#define OPGR(h) :: d_step{ oppoll[h]>0 && hup[1-h] && role[1-h]==0 -> if :: MUT==12 && opgr[h]<L-(oppoll[h]-1) -> opgr[h]=L-(oppoll[h]-1) :: else fi; promise[1-h]=PEER; TAGP(1-h,ppog[h]); oppoll[h]=0; ppog[h]=0 }
#define PRECV(h,m) :: d_step{ hup[h] && pgr[h]>0 && role[h]==1 -> if :: lp[h]<pgr[h]+m -> lp[h]=pgr[h]+m :: else fi; pgr[h]=0 }
/* a start is a new boot_id: here a new generation without any RELEASED of its own */
#ifdef SURVIVE
#define DIES(h) if :: role[h]==1 -> role[h]=2; kt[h]=K+(ls[h]>lp[h]->ls[h]:lp[h]) :: role[h]==0 -> kt[h]=0 :: else fi
#else
#define DIES(h) role[h]=0;kt[h]=0
#endif
#define HCRASH(h) :: d_step{ hup[h] && gen[h]<(h==0->GM:GM1) -> hup[h]=0;DIES(h);ls[h]=0;lp[h]=0;promise[h]=0;pt[h]=0;quar[h]=0; OLD(h) }
#if MUT==15
#define SETBG(h) bg[h]=gen[h]
#else
#define SETBG(h) skip
#endif
#define HBOOT(h) :: d_step{ !hup[h] -> hup[h]=1; gen[h]++; SETBG(h); quar[h]=PEER }
#ifndef TWO
#define SCRASH :: d_step{ sup -> sup=0; srec=0;hor[0]=0;hor[1]=0;hg[0]=0;hg[1]=0;sgen[0]=0;sgen[1]=0 }
#endif
#if MUT==13
#define SBOOT :: d_step{ !sup -> sup=1 }
#else
#define SBOOT :: d_step{ !sup -> sup=1; srec=L+M+K }
#endif
active proctype sys(){
 d_step{ hup[0]=1;hup[1]=1;sup=1 }
 do
 :: tick()
 POLL(0) POLL(1) GRANT(0) GRANT(1) OGRANT(0) OGRANT(1) RECV(0,0) RECV(1,0) RECV(0,M) RECV(1,M) ORECV(0,M) ORECV(1,M)
 RELEASE(0) RELEASE(1) RELD(0,1) RELD(1,1) EARLY(0) EARLY(1)
#if GM>1
 RELD(0,2)
#endif
#if GM1>1
 RELD(1,2)
#endif
 PPOLL(0) PPOLL(1) PGR(0) PGR(1) OPGR(0) OPGR(1) PRECV(0,0) PRECV(1,0) PRECV(0,M) PRECV(1,M)
#ifdef TWO
 TAKEOVER RELD2(0,1) RELD2(1,1)
#endif
#ifndef NOCRASH
 HCRASH(0) HCRASH(1) HBOOT(0) HBOOT(1) BOOTREL(0) BOOTREL(1)
#ifndef TWO
 SCRASH SBOOT
#endif
#endif
#ifdef SCSCRASH
 SCRASH SBOOT
#endif
 od }
