/* The survey of the marks of disguise that texts carry; survey.py defines it in NumPy. The rules at the top of _engine.c
   apply here, too. */

#include "_kernel.h"

#define HALF_KEYS (1 << 16)    /* see neighbours.py */
#define MOST_NUMBERS (1 << 14) /* the largest row of the table of pairs */

/* Numbers and scores with a meaning of their own (see neighbours.py), and limits (see survey.py). */
typedef struct {
    unsigned int row, rare, digit, list, last_sign, end, nothing;
    int disguised, missing, cut_score, spelled, strong, firm;
    double odd_share, spelled_share, least_worth, filler_share, filled_share, full_share;
    int min_filled, filled_evidence, listed_evidence, most_fillers;
    int min_marks, most_signs, min_cuts, cutting, cutting_further, cutting_place, pictorial, name, keycap_mark;
} Limits;

/* The input and output of `survey`. Texts and tables are those of survey.py. */
typedef struct {
    const int32_t *codes;
    const uint16_t *numbers;
    const int64_t *ends, *starts;
    const int32_t *raw;
    const uint8_t *pairs;
    const int8_t *cutting;
    const uint8_t *empty_words, *halves;
    const int64_t *parts;
    const uint16_t *made;
    const int64_t *rare_pairs;
    const int32_t *normal, *pictures;
    const int64_t *bounds;
    const uint16_t *members;
    const int16_t *worth;
    int64_t size, texts, all_raw, all_parts, all_rare_pairs, choices, all_members;
    int32_t empty;
    Limits limits;
    uint8_t *flags;
    uint16_t *wholes; /* in two rows: the characters made of two parts, and of three */
    uint8_t *heavy, *spelled_out, *repairable, *loose;
} Texts;

enum { CUTS = 1, MAY_CUT = 2, CONTACT = 4, PICTURE = 8, KEYCAP = 16, DOUBTFUL = 32, LABEL = 64 }; /* see `Mark` */

/* A run of signs between Chinese characters. `sign` is the index of the first run of the text that begins with the same
   sign; the `sum` of that run is the evidence of all these runs. In the first run of a sign, `other` is the first run
   of the sign before it in the same bucket, or -1. */
typedef struct {
    int64_t begin, end, sign, other, sum;
    int evidence, alone;
} Signs;

#define BUCKETS 256 /* of signs, by their code points */

#define NO_ROW "a picture has no row of choices, or it ends beyond the members"

/* Return the number of a character of a text or of the end before or after it. */
static inline unsigned int number(const Texts *t, int64_t at)
{
    return at < 0 ? t->limits.end : t->numbers[at];
}

static inline int is_chinese(const Texts *t, int64_t at)
{
    return number(t, at) <= t->limits.rare;
}

static inline int is_sign(const Texts *t, int64_t at)
{
    return t->limits.list <= number(t, at) && number(t, at) <= t->limits.last_sign;
}

static inline int is_letter(const Texts *t, int64_t at)
{
    return at >= 0 && 'a' <= t->codes[at] && t->codes[at] <= 'z';
}

static inline const uint8_t *pair(const Texts *t, int64_t left, int64_t right)
{
    return t->pairs + (size_t)t->numbers[left] * t->limits.row + t->numbers[right];
}

static inline int score(const Texts *t, int64_t left, int64_t right)
{
    return (int8_t)*pair(t, left, right);
}

/* Return the place of the first key that is not less than `key` in an array that ascends. A branch in the loop would be
   mispredicted every other time. */
static int64_t place_of(int64_t key, const int64_t *keys, int64_t size)
{
    const int64_t *first = keys;
    for (int64_t half, left = size; left > 1; left -= half) {
        half = left / 2;
        first += half & -(int64_t)(first[half - 1] < key);
    }
    return first - keys + (size && *first < key);
}

/* Note which characters have their parts at a place; return how many. */
static int note_wholes(const Texts *t, int64_t at, int64_t end)
{
    const int64_t first = t->codes[at], second = t->codes[at + 1], third = at + 2 < end ? t->codes[at + 2] : 0;
    const int64_t two = first << 42 | second << 21, three = third ? two | third : two;
    int found = 0;
    if (!t->halves[(first * 31 + second) & (HALF_KEYS - 1)])
        return 0;
    for (int64_t i = place_of(two, t->parts, t->all_parts); i < t->all_parts && t->parts[i] <= three; i++)
        if (t->parts[i] == two || t->parts[i] == three) {
            t->wholes[(t->parts[i] != two) * t->size + at] = t->made[i];
            found++;
        }
    return found;
}

/* Return whether a character belongs to the next one. */
static int belongs(const Texts *t, int64_t at)
{
    if (score(t, at, at + 1) > t->limits.strong)
        return 1;
    if (t->numbers[at] != t->limits.rare && t->numbers[at + 1] != t->limits.rare)
        return 0;
    const int64_t key = (int64_t)t->codes[at] << 21 | t->codes[at + 1];
    const int64_t place = place_of(key, t->rare_pairs, t->all_rare_pairs);
    return place < t->all_rare_pairs && t->rare_pairs[place] == key;
}

enum { NO_PAIR, APART, TOGETHER }; /* two neighbours are not both Chinese; do not belong together; do */

/* Return whether a character belongs to the next one, if both are Chinese. */
static int tie(const Texts *t, int64_t at)
{
    return !is_chinese(t, at) || !is_chinese(t, at + 1) ? NO_PAIR : belongs(t, at) ? TOGETHER : APART;
}

/* Return whether a character belongs to none of its neighbours, by its ties to them. */
static int is_alone(int before, int after)
{
    return before != TOGETHER && after != TOGETHER && (before == APART || after == APART);
}

/* Flag the doubtful characters (see `Mark`). */
static void flag_doubtful(const Texts *t, int64_t begin, int64_t end)
{
    const int firm = t->limits.firm;
    int far_before, before = NO_PAIR, after = NO_PAIR, far_after = tie(t, begin); /* the ties around each character */
    for (int64_t at = begin; at < end; at++) {
        far_before = before;
        before = after;
        after = far_after;
        far_after = tie(t, at + 1);
        if (is_alone(before, after) ||
            (before == APART && !(is_alone(far_before, before) && score(t, at, at + 1) > firm)) ||
            (after == APART && !(is_alone(after, far_after) && score(t, at - 1, at) > firm)))
            t->flags[at] |= DOUBTFUL;
    }
}

static int compare_words(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Flag the single letters before a character that another single letter precedes too; `letters` is working memory. */
static void flag_labels(const Texts *t, int64_t begin, int64_t end, int64_t *letters)
{
    const int64_t low_half = ((int64_t)1 << 32) - 1; /* of a word: the place, below the character behind the letter */
    int64_t size = 0;
    for (int64_t at = begin; at < end; at++)
        if (is_letter(t, at) && !is_letter(t, at - 1) && !is_letter(t, at + 1))
            letters[size++] = (int64_t)t->codes[at + 1] << 32 | (at - begin);
    qsort(letters, (size_t)size, sizeof *letters, compare_words);
    for (int64_t i = 0, next; i < size; i = next) {
        const int32_t letter = t->codes[begin + (letters[i] & low_half)];
        int others = 0;
        for (next = i; next < size && letters[next] >> 32 == letters[i] >> 32; next++)
            others |= t->codes[begin + (letters[next] & low_half)] != letter;
        for (int64_t j = i; others && j < next; j++)
            t->flags[begin + (letters[j] & low_half)] |= LABEL;
    }
}

/* Return whether a text with this many characters, Chinese characters, and letters after a Chinese character is spelled
   out. */
static int is_spelled_out(const Limits *limits, int64_t spelled, int64_t length, int64_t chinese)
{
    return spelled >= limits->min_marks && 2. * (double)spelled > limits->spelled_share * (double)length &&
           (double)spelled > limits->spelled_share * (double)chinese;
}

/* Flag the labels of a text if it is spelled out even when they are not counted; return whether it is. `spelled` is the
   number of letters after a Chinese character. */
static int flag_spelled(const Texts *t, int64_t begin, int64_t end, int64_t spelled, int64_t *letters)
{
    int64_t chinese = 0;
    if (spelled < t->limits.min_marks) /* as in most texts */
        return 0;
    for (int64_t at = begin; at < end; at++)
        chinese += is_chinese(t, at);
    if (!is_spelled_out(&t->limits, spelled, end - begin + 1, chinese))
        return 0;
    flag_labels(t, begin, end, letters);
    for (int64_t at = begin; at + 1 < end; at++)
        spelled -= score(t, at, at + 1) == t->limits.spelled && t->flags[at + 1] & LABEL;
    if (is_spelled_out(&t->limits, spelled, end - begin + 1, chinese))
        return 1;
    for (int64_t at = begin; at < end; at++)
        t->flags[at] &= (uint8_t)~LABEL;
    return 0;
}

/* Return whether the name of the picture at a place is within two characters; -1 if its row does not exist. */
static int is_named(const Texts *t, int64_t at, int32_t row)
{
    if (row == t->empty)
        return 0;
    if (row < 0 || row >= t->choices || t->bounds[row] < 0 || t->bounds[row + 1] > t->all_members)
        return -1;
    for (int64_t i = t->bounds[row]; i < t->bounds[row + 1] && i < t->bounds[row] + t->limits.name; i++)
        for (int side = -1; side <= 1; side += 2) {
            const unsigned int near = number(t, at + side);
            if (t->members[i] == near || (near != t->limits.end && t->members[i] == number(t, at + 2 * side)))
                return 1;
        }
    return 0;
}

/* Flag the signs that may cut words; `runs` is working memory. Return an error, or NULL. */
static const char *flag_signs(const Texts *t, int64_t begin, int64_t end, Signs *runs)
{
    const Limits *limits = &t->limits;
    int64_t size = 0, places = 0, first[BUCKETS];
    int cutting = 0, between_words = 0;

    for (int64_t at = begin, next; at < end; at = next) {
        int signs = 1; /* not counting repetitions */
        for (next = at + 1; next < end && is_sign(t, at) && is_sign(t, next); next++)
            signs += t->codes[next] != t->codes[next - 1];
        if (!is_sign(t, at) || !is_chinese(t, at - 1) || !is_chinese(t, next))
            continue;
        if (!size)
            memset(first, -1, sizeof first);
        const int alone = !is_chinese(t, at - 2) && !is_chinese(t, next + 1);
        const int list = alone && t->numbers[at] == limits->list;
        const int evidence = list || signs > limits->most_signs ? 0 : t->cutting[*pair(t, at - 1, next)];
        int64_t *bucket = first + t->codes[at] % BUCKETS, sign = *bucket;
        while (sign >= 0 && t->codes[runs[sign].begin] != t->codes[at])
            sign = runs[sign].other;
        runs[size] = (Signs){.begin = at, .end = next, .evidence = evidence, .alone = alone};
        if (sign < 0) {
            runs[size].other = *bucket;
            sign = *bucket = size;
        }
        runs[size++].sign = sign;
        runs[sign].sum += evidence;
    }
    for (int64_t i = 0; i < size; i++)
        cutting |= runs[i].sum >= limits->cutting;
    for (int64_t i = 0; i < size; i++) {
        const int64_t sum = runs[runs[i].sign].sum;
        const int32_t code = t->codes[runs[i].begin];
        if (runs[i].end - runs[i].begin == 1 && !runs[i].alone && sum >= limits->cutting_place &&
            code >= limits->pictorial && number(t, runs[i].end) < limits->rare) {
            const int named = is_named(t, runs[i].begin, t->pictures[code]);
            if (named < 0)
                return NO_ROW;
            t->flags[runs[i].begin] |= named ? 0 : MAY_CUT;
        }
        if (!cutting || sum < limits->cutting_further || (runs[i].evidence <= 0 && t->empty_words[code]))
            runs[i].begin = runs[i].end; /* it stays */
        else if (runs[i].evidence > 0) {
            places++;
            between_words |= !runs[i].alone;
        }
    }
    if (places >= (between_words ? 1 : 2) * (int64_t)limits->min_cuts)
        for (int64_t i = 0; i < size; i++)
            for (int64_t at = runs[i].begin; at < runs[i].end; at++)
                t->flags[at] |= CUTS;
    return NULL;
}

#define FILLERS 6 /* how many characters may be fillers of one text: each is at least a seventh of it */

#define INTERJECTION 2 /* like 1, a code point that is dropped, so that no character has it */

/* Return what counts as one character when fillers are looked for: a character, any interjection, any letter, or
   anything else, such as letters of other scripts. */
static int32_t kind_of(const Texts *t, int64_t at)
{
    const unsigned int class = t->numbers[at];
    if (class <= t->limits.rare) /* as most are */
        return t->empty_words[t->codes[at]] ? INTERJECTION : t->codes[at];
    if (class < t->limits.list)
        return class == t->limits.digit ? t->codes[at] : 'a';
    return t->limits.last_sign < class && class < t->limits.end ? 1 : t->codes[at];
}

/* Find characters that are a large share of a text (Misra and Gries 1982), except Chinese ones if there are several;
   return their number. Only those in a bucket that is as large are counted, which hardly any are. */
static int find_fillers(const Texts *t, int64_t begin, int64_t end, int32_t *fillers)
{
    const double share = t->limits.filler_share * (double)(end - begin), few = t->limits.min_filled;
    const double least = share > few ? share : few;
    int64_t most = 0, bucket[BUCKETS] = {0}, left[FILLERS] = {0}, count[FILLERS] = {0};
    int32_t code[FILLERS];
    int size = 0, chinese[FILLERS] = {0}, several = -1;
    for (int64_t at = begin; at < end; at++) {
        const int64_t found = ++bucket[kind_of(t, at) % BUCKETS];
        most = found > most ? found : most;
    }
    if ((double)most < least) /* as in most texts */
        return 0;
    for (int64_t at = begin; at < end; at++) {
        const int32_t kind = kind_of(t, at);
        int i = 0, empty = -1;
        if ((double)bucket[kind % BUCKETS] < least)
            continue;
        for (; i < FILLERS && !(left[i] && code[i] == kind); i++)
            empty = left[i] ? empty : i;
        if (i < FILLERS) {
            left[i]++;
        } else if (empty >= 0) {
            code[empty] = kind;
            left[empty] = 1;
        } else {
            for (i = 0; i < FILLERS; i++)
                left[i]--;
        }
    }
    for (int64_t at = begin; at < end; at++) {
        const int32_t kind = kind_of(t, at);
        if ((double)bucket[kind % BUCKETS] < least)
            continue;
        for (int i = 0; i < FILLERS; i++)
            if (left[i] && code[i] == kind) {
                count[i]++;
                chinese[i] = is_chinese(t, at) && kind != INTERJECTION;
            }
    }
    for (int i = 0; i < FILLERS; i++)
        several += (double)count[i] >= least && chinese[i];
    for (int i = 0; i < FILLERS; i++)
        if ((double)count[i] >= least && !(chinese[i] && several > 0))
            fillers[size++] = code[i];
    return size;
}

static int is_filler(const Texts *t, int64_t at, const int32_t *fillers, int size)
{
    const int32_t kind = kind_of(t, at);
    for (int i = 0; i < size; i++)
        if (fillers[i] == kind)
            return 1;
    return 0;
}

/* Flag what cuts many words, whatever it is: what often stands between characters that go together. */
static void flag_fillers(const Texts *t, int64_t begin, int64_t end)
{
    const Limits *limits = &t->limits;
    int32_t fillers[FILLERS];
    const int size = find_fillers(t, begin, end, fillers);
    int64_t word = -1, gaps = 0, filled = 0, evidence = 0, shortest = limits->most_fillers;
    int since = 0;             /* whether a filler comes after the word */
    int listed = 0, other = 0; /* whether fillers separate lists, and whether any is no sign */
    if (!size)
        return;
    for (int64_t at = begin; at < end; at++) {
        const int filler = is_filler(t, at, fillers, size);
        since |= filler;
        listed |= filler && number(t, at) == limits->list;
        other |= filler && !is_sign(t, at);
        if (filler || !is_chinese(t, at))
            continue;
        gaps += word >= 0;
        if (word >= 0 && since) {
            filled++;
            shortest = at - word - 1 < shortest ? at - word - 1 : shortest;
            evidence += t->cutting[*pair(t, word, at)];
        }
        word = at;
        since = 0;
    }
    if (filled < limits->min_filled || (double)filled < limits->filled_share * (double)gaps)
        return;
    if (evidence < (listed && !other ? limits->listed_evidence : limits->filled_evidence) &&
        (listed || other || filled < 2 * limits->min_filled || (double)filled < limits->full_share * (double)gaps))
        return;
    for (int64_t at = begin, next; at < end; at = next) {
        for (next = at; next < end && is_filler(t, next, fillers, size);)
            next++;
        /* longer ones of letters or digits may be addresses or telephone numbers; but 10 follows 9 */
        const int alphanumeric = limits->rare < number(t, at) && number(t, at) < limits->list;
        const int64_t most = alphanumeric ? shortest + (number(t, at) == limits->digit) : limits->most_fillers;
        for (int64_t i = at; i < next && next - at <= most; i++)
            t->flags[i] |= CUTS;
        next += next == at;
    }
}

/* Flag the pictures and keycaps that may stand for a character; return an error, or NULL. */
static const char *flag_pictures(const Texts *t, int64_t begin, int64_t end, uint8_t *repairable)
{
    const Limits *limits = &t->limits;
    for (int64_t at = begin; at < end; at++) {
        const int32_t *raw = t->raw + t->starts[at], *last = t->raw + t->all_raw - 1;
        const int32_t row = t->pictures[*raw];
        if (row != t->empty && t->normal[*raw] == t->codes[at]) {
            const int named = is_named(t, at, row);
            if (named < 0)
                return NO_ROW;
            t->flags[at] |= named ? 0 : PICTURE;
            *repairable |= !named && is_chinese(t, at - 1) && is_chinese(t, at + 1);
        }
        if (t->numbers[at] == limits->digit && '0' <= *raw && *raw <= '9' && number(t, at - 1) != limits->digit &&
            is_chinese(t, at + 1)) {
            const int32_t *second = raw < last ? raw + 1 : last, *third = second < last ? second + 1 : last;
            t->flags[at] |= *second == limits->keycap_mark || *third == limits->keycap_mark ? KEYCAP : 0;
        }
    }
    return NULL;
}

/* Survey a text; `memory` is working memory. Return an error, or NULL. */
static const char *survey_text(const Texts *t, int64_t text, Signs *memory)
{
    const Limits *limits = &t->limits;
    const int64_t begin = text ? t->ends[text - 1] + 1 : 0, end = t->ends[text], length = end - begin + 1;
    int64_t odd = 0, parts = 0, spelled = 0, worth = 0;
    uint8_t any = 0, *repairable = t->repairable + text;

    for (int64_t at = begin; at + 1 < end; at++) /* so that no look-up waits for another */
        PREFETCH(pair(t, at, at + 1));
    for (int64_t at = begin; at + 1 < end; at++) {
        const int found = score(t, at, at + 1);
        odd += found == limits->missing || found == limits->cut_score;
        parts += note_wholes(t, at, end);
        spelled += found == limits->spelled;
        worth += t->worth[(uint8_t)found];
        t->flags[at] |= found == limits->disguised ? CONTACT : 0;
    }
    t->heavy[text] = odd + parts >= limits->min_marks && (double)(odd + parts) > limits->odd_share * (double)length;
    if (t->heavy[text])
        flag_doubtful(t, begin, end);
    else if (parts)
        for (int64_t at = begin; at < end; at++)
            t->wholes[at] = t->wholes[t->size + at] = (uint16_t)limits->nothing;
    t->spelled_out[text] = (uint8_t)flag_spelled(t, begin, end, spelled, (int64_t *)memory);
    t->loose[text] = (double)worth < limits->least_worth * (double)length;
    *repairable = t->heavy[text] | t->spelled_out[text] | t->loose[text];
    const char *bad = flag_signs(t, begin, end, memory);
    flag_fillers(t, begin, end);
    bad = bad ? bad : flag_pictures(t, begin, end, repairable);
    for (int64_t at = begin; at < end; at++)
        any |= t->flags[at];
    *repairable |= (any & (CUTS | MAY_CUT | CONTACT | KEYCAP)) > 0;
    return bad;
}

/* Check the texts, so that surveying need not; only rows of choices are checked where they are read. Return an error,
   or NULL. */
static const char *check_texts(const Texts *t)
{
    int64_t before = -1;
    for (int64_t i = 0; i < t->texts; before = t->ends[i++])
        if (t->ends[i] <= before || t->ends[i] >= t->size || t->numbers[t->ends[i]] != t->limits.end)
            return "ends must ascend within the characters, whose number there must be that of an end";
    if (before != t->size - 1)
        return "the last character must be the end of a text";
    for (int64_t at = 0; at < t->size; at++) {
        if (t->numbers[at] >= t->limits.row)
            return BEYOND;
        if (t->starts[at] < 0 || t->starts[at] >= t->all_raw)
            return "starts must be offsets in the originals";
        if ((uint32_t)t->codes[at] >= CODE_POINTS || (uint32_t)t->raw[t->starts[at]] >= CODE_POINTS)
            return "there is no such code point";
    }
    return NULL;
}

const char survey_texts_doc[] =
    PyDoc_STR("survey(codes, numbers, ends, starts, raw, pairs, cutting, empty_words, halves, parts, made,\n"
              "       rare_pairs, normal, pictures, bounds, members, worth, empty, classes, scores, shares, limits,\n"
              "       flags, wholes, heavy, spelled_out, repairable, loose)\n--\n\n"
              "Fill the last six arguments, as `fraudscan.survey.survey` does. At first, flags must be 0 and wholes\n"
              "`NOTHING`. Before them are the empty row and the constants of `Limits`.");

PyObject *survey_texts(PyObject *Py_UNUSED(self), PyObject *args)
{
    enum { CODES, NUMBERS, ENDS, STARTS, RAW, PAIRS, CUTTING, EMPTY_WORDS, HALVES, PARTS, MADE, RARE_PAIRS, NORMAL,
           PICTURES, BOUNDS, MEMBERS, WORTH, FLAGS, WHOLES, HEAVY, SPELLED_OUT, REPAIRABLE, LOOSE, ARRAYS };
    static const Py_ssize_t bytes[] = {4, 2, 8, 8, 4, 1, 1, 1, 1, 8, 2, 8, 4, 4, 8, 2, 2, 1, 2, 1, 1, 1, 1};
    PyObject *result = NULL;
    Py_buffer array[ARRAYS];
    Py_ssize_t size[ARRAYS];
    Limits l;
    int empty;
    const char *bad;

    if (!PyArg_ParseTuple(
            args, "y*y*y*y*y*y*y*y*y*y*y*y*y*y*y*y*y*i(IIIIIII)(iiiiii)(ddd)(dddiiii)(iiiiiiiii)w*w*w*w*w*w*:survey",
            &array[0], &array[1], &array[2], &array[3], &array[4], &array[5], &array[6], &array[7], &array[8],
            &array[9], &array[10], &array[11], &array[12], &array[13], &array[14], &array[15], &array[16], &empty,
            &l.row, &l.rare, &l.digit, &l.list, &l.last_sign, &l.end, &l.nothing, &l.disguised, &l.missing,
            &l.cut_score, &l.spelled, &l.strong, &l.firm, &l.odd_share, &l.spelled_share, &l.least_worth,
            &l.filler_share, &l.filled_share, &l.full_share, &l.min_filled, &l.filled_evidence, &l.listed_evidence,
            &l.most_fillers, &l.min_marks, &l.most_signs, &l.min_cuts, &l.cutting, &l.cutting_further, &l.cutting_place,
            &l.pictorial, &l.name, &l.keycap_mark, &array[17], &array[18], &array[19], &array[20], &array[21],
            &array[22]))
        return NULL;
    if (count_all(array, bytes, size, ARRAYS) < 0)
        goto done;
    if (size[NUMBERS] != size[CODES] || size[STARTS] != size[CODES] || l.row > MOST_NUMBERS ||
        size[PAIRS] != (Py_ssize_t)l.row * l.row || size[CUTTING] != SCORES || size[EMPTY_WORDS] != CODE_POINTS ||
        size[NORMAL] != CODE_POINTS || size[PICTURES] != CODE_POINTS || size[HALVES] != HALF_KEYS ||
        size[MADE] != size[PARTS] || !size[BOUNDS] || size[FLAGS] != size[CODES] ||
        size[WHOLES] != 2 * size[CODES] || size[HEAVY] != size[ENDS] || size[SPELLED_OUT] != size[ENDS] ||
        size[REPAIRABLE] != size[ENDS] || size[LOOSE] != size[ENDS] || size[WORTH] != SCORES) {
        PyErr_SetString(PyExc_ValueError, "the sizes of the arrays do not fit each other");
        goto done;
    }
    if (!(l.filler_share * (FILLERS + 1) > 1)) {
        PyErr_Format(PyExc_ValueError, "fillers must make up more than a %dth of a text each", FILLERS + 1);
        goto done;
    }
    if (l.rare >= l.list || l.list > l.last_sign || l.last_sign >= l.end) {
        PyErr_SetString(PyExc_ValueError, "signs must have numbers between those of Chinese characters and of ends");
        goto done;
    }
    const Texts texts = {.codes = array[CODES].buf,
                         .numbers = array[NUMBERS].buf,
                         .ends = array[ENDS].buf,
                         .starts = array[STARTS].buf,
                         .raw = array[RAW].buf,
                         .pairs = array[PAIRS].buf,
                         .cutting = array[CUTTING].buf,
                         .empty_words = array[EMPTY_WORDS].buf,
                         .halves = array[HALVES].buf,
                         .parts = array[PARTS].buf,
                         .made = array[MADE].buf,
                         .rare_pairs = array[RARE_PAIRS].buf,
                         .normal = array[NORMAL].buf,
                         .pictures = array[PICTURES].buf,
                         .bounds = array[BOUNDS].buf,
                         .members = array[MEMBERS].buf,
                         .worth = array[WORTH].buf,
                         .flags = array[FLAGS].buf,
                         .wholes = array[WHOLES].buf,
                         .heavy = array[HEAVY].buf,
                         .spelled_out = array[SPELLED_OUT].buf,
                         .repairable = array[REPAIRABLE].buf,
                         .loose = array[LOOSE].buf,
                         .size = size[CODES],
                         .texts = size[ENDS],
                         .all_raw = size[RAW],
                         .all_parts = size[PARTS],
                         .all_rare_pairs = size[RARE_PAIRS],
                         .choices = size[BOUNDS] - 1,
                         .all_members = size[MEMBERS],
                         .empty = empty,
                         .limits = l};
    Py_BEGIN_ALLOW_THREADS
    int64_t longest = 0;
    bad = check_texts(&texts);
    for (int64_t text = 0; text < texts.texts && !bad; text++) {
        const int64_t length = texts.ends[text] - (text ? texts.ends[text - 1] : -1);
        longest = length > longest ? length : longest;
    }
    Signs *memory = bad ? NULL : PyMem_RawMalloc((size_t)(longest / 2 + 1) * sizeof *memory);
    bad = bad || memory ? bad : NO_MEMORY;
    for (int64_t text = 0; text < texts.texts && !bad; text++)
        bad = survey_text(&texts, text, memory);
    PyMem_RawFree(memory);
    Py_END_ALLOW_THREADS
    if (!failed(bad))
        result = Py_NewRef(Py_None);
done:
    return release_all(array, ARRAYS, result);
}
