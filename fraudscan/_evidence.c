/* The spans of texts that carried a decision; explain.py defines them in Python. The rules at the top of _engine.c apply
   here, too. */

#include "_kernel.h"

/* The input and output of `spans`: the arrays of `_Characters`, the cost of a change of sides, the largest weight that
   counts as none, the weight of each character, and where the spans begin and end. */
typedef struct {
    const int64_t *bounds, *first, *orders;
    const double *weights, *norms;
    const uint8_t *edges, *marks;
    const int64_t *clauses;
    int64_t texts, size, ngrams;
    double change, negligible;
    double *each;
    int64_t *starts, *stops;
} Evidence;

typedef struct {
    int64_t start, end;
} Range;

/* The working memory for one text. For each edge: the evidence inside the words before it, at its best, and where the
   last of them begins. For each word of a clause: its place, its weight, and for both sides that it may be on, the side
   of the word before it. And the ranges that words are joined to, the last one first. */
typedef struct {
    double *best;
    int64_t *back;
    Range *words;
    double *weights;
    uint8_t (*before)[2];
    Range *joined;
} Work;

/* Check the arrays; return an error, or NULL. */
static const char *check(const Evidence *at)
{
    if (at->bounds[0] || at->bounds[at->texts] != at->size || at->first[0] || at->first[at->size] != at->ngrams)
        return "bounds and first must begin with 0 and end with the number of characters and of n-grams";
    for (int64_t text = 0; text < at->texts; text++)
        if (at->bounds[text + 1] < at->bounds[text])
            return "bounds must ascend";
    for (int64_t place = 0; place < at->size; place++)
        if (at->first[place + 1] < at->first[place])
            return "first must ascend";
    for (int64_t i = 0; i < at->ngrams; i++)
        if (at->orders[i] < 1)
            return "an n-gram has at least one character";
    return NULL;
}

/* Spread the weight of each n-gram evenly over its characters in the text: those that are no marks, if it has any. */
static void spread(const Evidence *at, int64_t begin, int64_t end, double norm)
{
    for (int64_t place = begin; place < end; place++)
        at->each[place] = 0;
    for (int64_t last = begin; last < end; last++)
        for (int64_t i = at->first[last]; i < at->first[last + 1]; i++) {
            const int64_t start = last - begin < at->orders[i] ? begin : last + 1 - at->orders[i];
            int64_t others = 0;
            for (int64_t place = start; place <= last; place++)
                others += !at->marks[place];
            const double share = at->weights[i] / (double)(others ? others : last + 1 - start);
            for (int64_t place = start; place <= last; place++)
                if (!others || !at->marks[place])
                    at->each[place] += share;
        }
    for (int64_t place = begin; place < end; place++)
        at->each[place] /= norm;
}

/* Return the evidence of the n-grams inside a word. */
static double inside(const Evidence *at, int64_t start, int64_t end)
{
    double total = 0;
    for (int64_t last = start; last < end; last++)
        for (int64_t i = at->first[last]; i < at->first[last + 1]; i++)
            if (at->orders[i] <= last + 1 - start)
                total += at->weights[i] < 0 ? -at->weights[i] : at->weights[i];
    return total;
}

/* Split a text into words with the most evidence inside them. `best` and `back` are indexed from the text's begin. */
static void split(const Evidence *at, Work *work, int64_t begin, int64_t end)
{
    int64_t before = begin, clear = begin; /* the previous edge; the first place at which a word may begin */
    work->best[0] = 0;
    for (int64_t edge = begin + 1; edge <= end; edge++) {
        if (edge < end && !at->edges[edge])
            continue;
        const int64_t last = before > begin ? before - 1 : before;
        if (at->marks[before] || at->marks[last] || at->clauses[last] != at->clauses[before])
            clear = before;
        int64_t from = before;
        double top = work->best[before - begin] + inside(at, before, edge);
        for (int64_t i = at->first[edge - 1]; i < at->first[edge]; i++) {
            if (at->orders[i] > edge - clear)
                continue;
            const int64_t start = edge - at->orders[i];
            if (start >= before || (start > begin && !at->edges[start]))
                continue;
            const double value = work->best[start - begin] + inside(at, start, edge);
            if (value > top || (value == top && start > from)) {
                top = value;
                from = start;
            }
        }
        work->best[edge - begin] = top;
        work->back[edge - begin] = from;
        before = edge;
    }
}

/* Join the words of a clause that pull the same way; return the number of spans after those found before. */
static int64_t join(const Evidence *at, Work *work, int64_t words, int64_t found)
{
    double costs[2] = {0, 0};
    int64_t joined = 0, whole = found;

    for (int64_t i = 0; i < words; i++) {
        double weight = 0, next[2];
        for (int64_t place = work->words[i].start; place < work->words[i].end; place++)
            weight += at->each[place];
        if (-at->negligible <= weight && weight <= at->negligible)
            weight = 0;
        for (int side = 0; side < 2; side++) {
            const int stays = costs[side] <= costs[1 - side] + at->change;
            const double wrong = side ? -weight : weight;
            next[side] = stays ? costs[side] : costs[1 - side] + at->change;
            next[side] += wrong > 0 ? wrong : 0;
            work->before[i][side] = (uint8_t)(stays ? side : 1 - side);
        }
        memcpy(costs, next, sizeof costs);
        work->weights[i] = weight;
    }
    int side = costs[1] < costs[0], last = -1; /* the side of the word at hand, and of the range joined last */
    for (int64_t i = words - 1; i >= 0; i--) {
        const Range word = work->words[i];
        if (work->weights[i] != 0 && last == side && work->joined[joined - 1].start == word.end)
            work->joined[joined - 1].start = word.start;
        else if (work->weights[i] != 0) {
            work->joined[joined++] = word;
            last = side;
        }
        side = work->before[i][side];
    }
    while (joined--) { /* single characters go with the range before, or else the one after them with them */
        const Range next = work->joined[joined];
        const int beside = whole > found && at->stops[whole - 1] == next.start;
        if (beside && (next.end - next.start == 1 || at->stops[whole - 1] - at->starts[whole - 1] == 1))
            at->stops[whole - 1] = next.end;
        else {
            at->starts[whole] = next.start;
            at->stops[whole++] = next.end;
        }
    }
    return whole;
}

/* Find the spans of one text; return the number of spans after those found before. */
static int64_t explain(const Evidence *at, Work *work, int64_t text, int64_t found)
{
    const int64_t begin = at->bounds[text], end = at->bounds[text + 1];
    int64_t next = end, words = 0;

    spread(at, begin, end, at->norms[text]);
    split(at, work, begin, end);
    /* turn the way back into the way there: `back` has, for each word's begin, its end */
    for (int64_t edge = end; edge > begin;) {
        const int64_t start = work->back[edge - begin];
        work->back[edge - begin] = next;
        next = edge;
        edge = start;
    }
    for (int64_t start = begin, stop = next; start < end; start = stop, stop = work->back[start - begin]) {
        if (words && at->clauses[start] != at->clauses[work->words[words - 1].start]) {
            found = join(at, work, words, found);
            words = 0;
        }
        work->words[words++] = (Range){start, stop};
    }
    return words ? join(at, work, words, found) : found;
}

const char evidence_spans_doc[] =
    PyDoc_STR("spans(bounds, first, orders, weights, norms, edges, marks, clauses, change, negligible, each, starts,\n"
              "      stops)\n--\n\n"
              "Fill the last three arguments, as `fraudscan.explain` does; return the number of spans.");

PyObject *evidence_spans(PyObject *Py_UNUSED(self), PyObject *args)
{
    enum { BOUNDS, FIRST, ORDERS, WEIGHTS, NORMS, EDGES, MARKS, CLAUSES, EACH, BEGIN, END, ARRAYS };
    static const Py_ssize_t bytes[] = {8, 8, 8, 8, 8, 1, 1, 8, 8, 8, 8};
    PyObject *result = NULL;
    Py_buffer array[ARRAYS];
    Py_ssize_t size[ARRAYS];
    double change, negligible;

    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*y*ddw*w*w*:spans", &array[0], &array[1], &array[2], &array[3], &array[4],
                          &array[5], &array[6], &array[7], &change, &negligible, &array[8], &array[9], &array[10]))
        return NULL;
    if (count_all(array, bytes, size, ARRAYS) < 0)
        goto done;
    const Py_ssize_t all = size[EDGES];
    if (size[BOUNDS] != size[NORMS] + 1 || size[FIRST] != all + 1 || size[ORDERS] != size[WEIGHTS] ||
        size[MARKS] != all || size[CLAUSES] != all || size[EACH] != all || size[BEGIN] != all || size[END] != all) {
        PyErr_SetString(PyExc_ValueError, "the sizes of the arrays do not fit each other");
        goto done;
    }
    const Evidence at = {.bounds = array[BOUNDS].buf,
                         .first = array[FIRST].buf,
                         .orders = array[ORDERS].buf,
                         .weights = array[WEIGHTS].buf,
                         .norms = array[NORMS].buf,
                         .edges = array[EDGES].buf,
                         .marks = array[MARKS].buf,
                         .clauses = array[CLAUSES].buf,
                         .texts = size[NORMS],
                         .size = all,
                         .ngrams = size[ORDERS],
                         .change = change,
                         .negligible = negligible,
                         .each = array[EACH].buf,
                         .starts = array[BEGIN].buf,
                         .stops = array[END].buf};
    const char *bad;
    int64_t found = 0;
    Py_BEGIN_ALLOW_THREADS
    int64_t longest = 0;
    bad = check(&at);
    for (int64_t text = 0; text < at.texts && !bad; text++)
        if (at.bounds[text + 1] - at.bounds[text] > longest)
            longest = at.bounds[text + 1] - at.bounds[text];
    const size_t room = (size_t)longest + 1;
    Work work = {PyMem_RawMalloc(room * sizeof *work.best),    PyMem_RawMalloc(room * sizeof *work.back),
                 PyMem_RawMalloc(room * sizeof *work.words),   PyMem_RawMalloc(room * sizeof *work.weights),
                 PyMem_RawMalloc(room * sizeof *work.before), PyMem_RawMalloc(room * sizeof *work.joined)};
    if (!bad && !(work.best && work.back && work.words && work.weights && work.before && work.joined))
        bad = NO_MEMORY;
    for (int64_t text = 0; text < at.texts && !bad; text++)
        found = explain(&at, &work, text, found);
    PyMem_RawFree(work.best);
    PyMem_RawFree(work.back);
    PyMem_RawFree(work.words);
    PyMem_RawFree(work.weights);
    PyMem_RawFree(work.before);
    PyMem_RawFree(work.joined);
    Py_END_ALLOW_THREADS
    if (!failed(bad))
        result = PyLong_FromLongLong(found);
done:
    return release_all(array, ARRAYS, result);
}
