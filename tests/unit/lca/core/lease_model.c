/* The onlooker's side of leases: ends that are allowed, promises that bind, epochs that are on disk. It shares no line
 * with lease.c and peer.c; the sums are done again from the rules. */
#include "tests/unit/lca/core/lease_model.h"

void model_poll_sent(struct sent_polls *p, uint64_t seq, bool peer, mono_t now)
{
    unsigned i = (unsigned)(seq % MODEL_POLLS);
    assert_true(seq > p->seq[i] || (peer && seq == p->seq[i])); /* one counter, never back (B1) */
    p->seq[i] = seq;
    p->peer[i] = peer;
    p->at[i] = now;
}

void model_lease_received(struct lease_model *m, const struct sent_polls *p, uint64_t seq, bool peer, span_t lease)
{
    unsigned i = (unsigned)(seq % MODEL_POLLS);
    if (p->seq[i] != seq || p->peer[i] != peer || seq <= m->released)
        return;
    mono_t end = mono_add(p->at[i], lease);
    if (mono_before(m->legal, end))
        m->legal = end;
}

static bool covered(const struct lease_model *m, const struct lca_order *o)
{
    return o->released_incarnation == m->promised_incarnation && o->released_seq >= m->promised_seq;
}

bool model_may_accept(const struct lease_model *m, const struct lca_order *o, mono_t now, mono_t quarantine)
{
    return !mono_before(now, quarantine) && (!mono_before(now, m->promised) || covered(m, o));
}

void model_accepted(struct lease_model *m, const struct lca_order *o, const struct sent_polls *p)
{
    assert_true(epoch_compare(o->epoch, m->epoch) > 0); /* S3 */
    m->epoch = o->epoch;
    m->promised = MONO_ZERO;
    model_lease_received(m, p, o->poll_seq, false, o->lease);
}

void model_lease_written(struct lease_model *m, const struct lca_action *a, uint64_t start_id, mono_t now)
{
    assert_int_equal(a->start_id, start_id);
    if (m->start_id != start_id)
        m->word = MONO_ZERO;
    m->start_id = start_id;
    if (a->at.ns != 0) {
        assert_true(a->at.ns <= m->legal.ns || a->at.ns <= now.ns); /* S6 */
        assert_true(a->at.ns >= m->word.ns || a->at.ns == now.ns);  /* it is extended, or ended at once */
        assert_true(epoch_compare(a->epoch, m->epoch) <= 0);
        assert_true(m->fence_told);
    }
    m->word = a->at;
    m->word_epoch = a->epoch;
}

void model_role(const struct lease_model *m, const struct lca_action *a, bool in_place, mono_t now)
{
    assert_true(m->fence_told && mono_before(now, m->word));
    assert_int_equal(epoch_compare(m->word_epoch, a->epoch), 0);
    assert_true(epoch_compare(m->disk, a->epoch) >= 0); /* S8 */
    assert_true(in_place || epoch_compare(m->epoch, a->epoch) == 0);
}

void model_released(struct lease_model *m, uint64_t seq, uint64_t start_id, bool alive)
{
    assert_true(!alive || m->start_id != start_id || m->word.ns == 0); /* B5: the word first */
    assert_true(seq >= m->released);
    m->released = seq;
    m->legal = MONO_ZERO;
}

void model_promised(struct lease_model *m, const struct lca_action *a, mono_t now, mono_t until)
{
    if (mono_before(m->promised, until))
        m->promised = until;
    m->promised_incarnation = a->peer_message.incarnation;
    m->promised_seq = a->peer_message.poll_seq;
}
