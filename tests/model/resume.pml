/* Resume of a restarted agent through the keeper (SAFETY 1, 5, 8, B5): two hosts, one SCS, peer leases. An agent dies and is
 * started again; its keeper goes on, with the application, the lease word (`ls`, `lp`) and the agent's poll counter.
 *
 * What the agent forgets: its promises, and what of polls and grants was on the way. Polls of a former agent belong to a
 * lower generation (generation<<32 | count), so an answer to them is refused. A resumed agent goes on as primary only while
 * the lease word lasts; any other is in quarantine, and when nothing acts it releases all former generations.
 * Clocks as in register.pml; M stands for duration*2rho + eps. GM, GM1: how often the agent of host 0, 1 dies.
 *
 * Asserted: S1. -DREACH must fail: a host whose agent resumed as primary has lost the role and the other is primary.
 * -DMUT=1 the keeper does not end the lease of a dead agent; 2 a resumed primary takes a fresh lease instead of the word's;
 * 3 no quarantine of a resumed non-primary; 4 a resumed agent releases what still acts; 5 the poll counter begins again,
 * so that a grant to the former agent is taken as the answer to a poll of the present one; 6 an ended word is resumed. */
#ifndef MUT
#define MUT 0
#endif
#ifndef GM
#define GM 1
#endif
#ifndef GM1
#define GM1 GM
#endif
#define L 2
#define K 1
#define M 1
#define PEER (L+M+K)
byte role[2], ls[2], lp[2], kt[2];  /* the keeper's: 0 none, 1 primary, 2 being stopped and still acting */
bool dead[2], resumed[2];
byte promise[2], pt[2];             /* to the peer; highest generation of its polls it was given for */
byte quar[2], gen[2], rel[2];       /* rel: generations below are released by the agent */
byte poll[2], opoll[2], grant[2], og[2], cg[2], ppoll[2], pgr[2];
byte hor[2], hg[2], sgen[2];        /* SCS: horizon, highest generation granted, generations below are released */
#define dec(v) if :: v>0 -> v-- :: else fi
inline age(v){ if :: v>0 && v<L -> v++ :: v>=L -> v=0 :: else fi }
inline fence(h){
  if :: role[h]==2 -> kt[h]--; if :: kt[h]==0 -> role[h]=0 :: else fi
     :: role[h]==1 && ls[h]==0 && lp[h]==0 && !(MUT==1 && dead[h]) -> role[h]=2; kt[h]=K
     :: else fi }
inline tick(){ d_step{
  dec(ls[0]); dec(ls[1]); dec(lp[0]); dec(lp[1]); dec(promise[0]); dec(promise[1]); dec(quar[0]); dec(quar[1]);
  dec(grant[0]); dec(grant[1]); dec(pgr[0]); dec(pgr[1]); dec(hor[0]); dec(hor[1]);
  if :: MUT!=5 -> dec(og[0]); dec(og[1]) :: else fi;
  age(poll[0]); age(poll[1]); age(opoll[0]); age(opoll[1]); age(ppoll[0]); age(ppoll[1]);
  if :: promise[0]==0 -> pt[0]=0 :: else fi; if :: promise[1]==0 -> pt[1]=0 :: else fi;
  if :: hor[0]==0 -> hg[0]=0 :: else fi; if :: hor[1]==0 -> hg[1]=0 :: else fi;
  if :: grant[0]==0 -> cg[0]=0 :: else fi; if :: grant[1]==0 -> cg[1]=0 :: else fi;
  fence(0); fence(1) } }
#define DIE(h) :: d_step{ !dead[h] && gen[h]<((h)==0->GM:GM1) -> dead[h]=1; resumed[h]=0; promise[h]=0; pt[h]=0; quar[h]=0; \
  if :: grant[h]>og[h] -> og[h]=(MUT==5->L:grant[h]) :: else fi; grant[h]=0; cg[h]=0; opoll[h]=poll[h]; poll[h]=0; ppoll[h]=0; pgr[h]=0 }
#if MUT==3
#define QUARANTINE 0
#else
#define QUARANTINE PEER
#endif
#define RESUME(h) :: d_step{ dead[h] -> dead[h]=0; gen[h]++; \
  if :: role[h]==1 -> resumed[h]=1; if :: MUT==2 -> ls[h]=L :: else fi \
     :: role[h]!=1 && kt[h]>0 && MUT==6 -> role[h]=1; ls[h]=L \
     :: else -> quar[h]=QUARANTINE fi }
#define RELEASE(h) :: d_step{ !dead[h] && rel[h]<gen[h] && (role[h]==0 || MUT==4) -> rel[h]=gen[h] }
#define RELD(h) :: d_step{ rel[h]>sgen[h] -> sgen[h]=rel[h]; if :: hg[h]<sgen[h] -> hor[h]=0; hg[h]=0 :: else fi }
#define POLL(h) :: d_step{ !dead[h] && poll[h]!=1 -> poll[h]=1 }
#define TAG(h,n) if :: n>hg[h] -> hg[h]=n :: else fi
#define GRANT(h) :: d_step{ poll[h]>0 && hor[1-h]==0 -> grant[h]=L-(poll[h]-1); cg[h]=sgen[1-h]; hor[h]=PEER; TAG(h,gen[h]); poll[h]=0 }
/* a poll of a former agent is answered as long as its release has not arrived */
#define FORMER(h) (dead[h]->gen[h]:gen[h]-1)
#define OGRANT(h) :: d_step{ opoll[h]>0 && (dead[h] || gen[h]>0) && sgen[h]<=FORMER(h) && hor[1-h]==0 -> og[h]=L-(opoll[h]-1); hor[h]=PEER; TAG(h,FORMER(h)); opoll[h]=0 }
#ifdef REACH
#define RCH(h) assert(!resumed[1-h]);
#else
#define RCH(h)
#endif
#define TAKE(h,n) role[h]=1; ls[h]=n; lp[h]=0; promise[h]=0; pt[h]=0; RCH(h)
#define RECV(h,m) :: d_step{ !dead[h] && grant[h]>0 -> \
  if :: role[h]==1 && ls[h]<grant[h]+m -> ls[h]=grant[h]+m \
     :: role[h]==0 && quar[h]==0 && (promise[h]==0 || pt[h]<cg[h]) -> TAKE(h,grant[h]+m) \
     :: else fi; assert(!(role[0]&&role[1])) }
#if MUT==5
#define ORECV(h) :: d_step{ !dead[h] && og[h]>0 && poll[h]>0 -> if :: role[h]==1 -> ls[h]=og[h] :: role[h]==0 && quar[h]==0 && promise[h]==0 -> TAKE(h,og[h]) :: else fi; og[h]=0; assert(!(role[0]&&role[1])) }
#else
#define ORECV(h)
#endif
#define PPOLL(h) :: d_step{ !dead[h] && role[h]==1 && ppoll[h]!=1 -> ppoll[h]=1 }
#define TAGP(p,n) if :: n>pt[p] -> pt[p]=n :: else fi
#define PGR(h) :: d_step{ ppoll[h]>0 && !dead[1-h] && role[1-h]==0 -> pgr[h]=L-(ppoll[h]-1); promise[1-h]=PEER; TAGP(1-h,gen[h]); ppoll[h]=0 }
#define PRECV(h,m) :: d_step{ !dead[h] && pgr[h]>0 && role[h]==1 -> if :: lp[h]<pgr[h]+m -> lp[h]=pgr[h]+m :: else fi; pgr[h]=0 }
active proctype sys(){
 do
 :: tick()
 DIE(0) DIE(1) RESUME(0) RESUME(1) RELEASE(0) RELEASE(1) RELD(0) RELD(1)
 POLL(0) POLL(1) GRANT(0) GRANT(1) OGRANT(0) OGRANT(1) RECV(0,0) RECV(1,0) RECV(0,M) RECV(1,M) ORECV(0) ORECV(1)
 PPOLL(0) PPOLL(1) PGR(0) PGR(1) PRECV(0,0) PRECV(1,0) PRECV(0,M) PRECV(1,M)
 od }
