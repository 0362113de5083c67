package main

import (
	"slices"
	"strings"
)

// days and clocks are how a day and a time of day are said, as patterns of
// words: "a|b" is either, "[a]" may be missing, "a_b" is two words, and
// <class> is one of a class of words. The longest match counts.
var (
	days = patterns(
		`[the] end_of [the|this|next] day|week|month|quarter|year|business|<month>`,
		`close_of_business|eod|eow|cob`,
		`the_day_after_tomorrow|today|tonight`,
		`[first_thing] tomorrow [<part>]`,
		`[first_thing] [on] [this|next|the_following|the_coming] <weekday> [<part>]`,
		`this|next|the_following week|month|quarter|year|weekend`,
		`this morning|afternoon|evening`,
		`[over|at|on] the_weekend`,
		`[the] <ordinal> of <month> [<year>]`,
		`<month> [the] <ordinal>|<number> [<year>]`,
		`[the] <number> <month> [<year>]`,
		`the <nth>`,
		`<date>`,
	)
	clocks = patterns(
		`[at|by] <number>|<clock> am|pm|o'clock|a_m|p_m`,
		`[at|by] <clock>|noon|midnight`,
	)
	spans = patterns(
		`in|within [the_next] <count> minute|minutes|hour|hours|day|days|week|weeks|month|months`,
		`as_soon_as_possible|asap|right_away|straight_away|immediately`,
	)
	leads = patterns(`by|before|until|till|no_later_than|not_later_than|due|due_on|due_by|on|for`)
)

var (
	weekdays = set("monday tuesday wednesday thursday friday saturday sunday")
	months   = set("january february march april may june july august september october november december")
	parts    = set("morning afternoon evening night lunchtime")
	counts   = set("a an one two three four five six seven eight nine ten twelve few couple")
	ordinals = set(`first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
		fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third
		twenty-fourth twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first`)
)

// momentWords are whatever days, clocks and spans may begin with, figures
// apart. Most words of a conversation are none of them, which is what makes
// looking for moments cheap.
var momentWords = union(weekdays, months, ordinals, set(`the end close eod eow cob today tonight first tomorrow on this
	next over at by noon midnight in within as asap right straight immediately`))

// timeWords are in every moment that has no figure.
var timeWords = union(weekdays, months, set(`day week month quarter year business eod eow cob tomorrow today tonight weekend
	morning afternoon evening noon midnight minute minutes hour hours days weeks months possible asap away immediately`))

// leadWords are what leads may begin with.
var leadWords = set("by before until till no not due on for")

// class reports whether word belongs to the class of that name.
func class(name, word string) bool {
	n := 0
	for n < len(word) && digit(word[n]) {
		n++
	}
	rest := word[n:]
	switch name {
	case "weekday":
		return weekdays[word]
	case "month":
		return months[word]
	case "part":
		return parts[word]
	case "count":
		return counts[word] || n > 0 && n == len(word)
	case "ordinal":
		return ordinals[word] || class("nth", word)
	case "nth":
		return (n == 1 || n == 2) && (rest == "st" || rest == "nd" || rest == "rd" || rest == "th")
	case "number":
		return (n == 1 || n == 2) && rest == ""
	case "year":
		return n == 4 && rest == ""
	case "clock":
		return (n == 1 || n == 2) && (rest == "am" || rest == "pm" || len(rest) == 3 && rest[0] == ':')
	case "date":
		return len(word) == 10 && n == 4 && rest[0] == '-' && rest[3] == '-'
	}
	return false
}

// element is one place of a pattern.
type element struct {
	options  [][]string // words, or one "<class>"
	optional bool
}

func patterns(lines ...string) [][]element {
	var all [][]element
	for _, line := range lines {
		var p []element
		for place := range strings.FieldsSeq(line) {
			inner, optional := strings.CutPrefix(place, "[")
			e := element{optional: optional}
			for option := range strings.SplitSeq(strings.TrimSuffix(inner, "]"), "|") {
				e.options = append(e.options, strings.Split(option, "_"))
			}
			p = append(p, e)
		}
		all = append(all, p)
	}
	return all
}

// longest returns where the longest match of ps in ts from i on ends, or i.
func longest(ps [][]element, ts []token, i int) int {
	end := i
	for _, p := range ps {
		end = max(end, matchAt(p, ts, i))
	}
	return end
}

// matchAt returns where p, beginning at i, ends, or -1.
func matchAt(p []element, ts []token, i int) int {
	if len(p) == 0 {
		return i
	}
	best := -1
	for _, option := range p[0].options {
		if fits(option, ts, i) {
			best = max(best, matchAt(p[1:], ts, i+len(option)))
		}
	}
	if best < 0 && p[0].optional {
		return matchAt(p[1:], ts, i)
	}
	return best
}

func fits(option []string, ts []token, i int) bool {
	if len(ts)-i < len(option) {
		return false
	}
	for n, w := range option {
		if word := ts[i+n].word; w != word && (w[0] != '<' || !class(w[1:len(w)-1], word)) {
			return false
		}
	}
	return true
}

// dayAt returns where a day that begins at i, with its time if it has one,
// ends, or i.
func dayAt(ts []token, i int) int {
	if end := longest(days, ts, i); end > i {
		return longest(clocks, ts, end)
	}
	return i
}

// timeAt is dayAt for a day, a time or a span.
func timeAt(ts []token, i int) int {
	if i >= len(ts) || !momentWords[ts[i].word] && !digit(ts[i].word[0]) {
		return i
	}
	end := max(dayAt(ts, i), longest(spans, ts, i))
	if c := longest(clocks, ts, i); c > i {
		end = max(end, c, dayAt(ts, c))
	}
	return end
}

// moment is when something is to be done, as a text says it.
type moment struct {
	text       string // with "by" and its like
	start, end int    // bytes of the text
	weak       bool   // "for Tuesday", "to the ninth": part of the thing rather than its deadline
}

// weakening are words that make the moment after them part of the thing.
var weakening = set("to from of than since last for")

// findMoment returns the first moment in text that is a deadline, or else the
// first.
func findMoment(text string) (moment, bool) { return firstMoment(text, tokens(text)) }

// firstMoment is findMoment for a text whose tokens are ts.
func firstMoment(text string, ts []token) (found moment, ok bool) {
	for i := 0; i < len(ts); i++ {
		at := i
		if leadWords[ts[i].word] {
			at = longest(leads, ts, i)
		}
		end := timeAt(ts, at)
		if end == at { // "on" may lead a day, or be part of it
			at, end = i, timeAt(ts, i)
		}
		if end == at {
			continue
		}
		m := moment{text: text[ts[i].start:ts[end-1].end], start: ts[i].start, end: ts[end-1].end}
		m.weak = ts[i].word == "for" || i > 0 && weakening[ts[i-1].word]
		if !ok || found.weak && !m.weak {
			found, ok = m, true
		}
		i = end - 1
	}
	return found, ok
}

// deadlines returns what t says is due.
func deadlines(t talk) []deadline {
	found := []deadline{}
	for i := range t.sentences {
		s := &t.sentences[i]
		if s.question() {
			continue
		}
		for n, tk := range s.tokens {
			what, when := "", ""
			switch tk.word {
			case "deadline":
				what, when = s.deadlineAt(n)
			case "due":
				what, when = s.dueAt(n)
			}
			if what != "" && when != "" {
				found = append(found, deadline{What: what, When: when, Segment: s.segment})
			}
		}
	}
	return found
}

// hedges may stand between "is" and what it is.
var hedges = set("also still now on the our your")

// being are the words by which a deadline is said to be some day.
var being = set("is was are be to")

// deadlineAt reads "deadline for the script is Monday" and "Friday is the
// deadline for the deposit", n being where "deadline" stands.
func (s *sentence) deadlineAt(n int) (what, when string) {
	from := n + 1
	if from+1 >= len(s.tokens) || s.tokens[from].word != "for" {
		return "", ""
	}
	from++
	end := from // of what is due
	for end < len(s.tokens) && end-from < 7 && !being[s.tokens[end].word] && s.together(end, from) {
		end++
	}
	at := end
	for at < len(s.tokens) && (being[s.tokens[at].word] || hedges[s.tokens[at].word] && !momentWords[s.tokens[at].word]) {
		at++
	}
	if day := dayAt(s.tokens, at); at > end && day > at {
		return s.noun(from, end), s.words(at, day)
	}
	at = n
	for at > 0 && (hedges[s.tokens[at-1].word] || being[s.tokens[at-1].word]) {
		at--
	}
	for first := max(0, at-6); first < at; first++ {
		if dayAt(s.tokens, first) == at && at < n {
			return s.noun(from, end), s.words(first, at)
		}
	}
	return "", ""
}

// dueAt reads "the report is due on Friday", n being where "due" stands.
func (s *sentence) dueAt(n int) (what, when string) {
	at := n + 1
	if at < len(s.tokens) && slices.Contains([]string{"on", "by", "before"}, s.tokens[at].word) {
		at++
	}
	day := dayAt(s.tokens, at)
	end := n
	for end > 0 && (hedges[s.tokens[end-1].word] || being[s.tokens[end-1].word]) {
		end--
	}
	if day == at || end == n {
		return "", ""
	}
	for from := end - 1; from >= max(0, end-5); from-- {
		if determiners[s.tokens[from].word] {
			return s.noun(from, end), s.words(at, day)
		}
	}
	return "", ""
}

// together reports whether no punctuation stands before token i, from being
// the first that counts.
func (s *sentence) together(i, from int) bool {
	return i == from || s.text[s.tokens[i-1].end:s.tokens[i].start] == " "
}

// words returns tokens from to end as written.
func (s *sentence) words(from, end int) string {
	return s.text[s.tokens[from].start:s.tokens[end-1].end]
}

// noun returns tokens from to end without an article.
func (s *sentence) noun(from, end int) string {
	if from < end && determiners[s.tokens[from].word] {
		from++
	}
	if from == end {
		return ""
	}
	return s.words(from, end)
}

// inside returns a moment that opened a sentence as it would stand inside one;
// the names of days and months keep their capital.
func inside(when string) string {
	first, _, _ := strings.Cut(strings.ToLower(when), " ")
	if weekdays[first] || months[first] {
		return when
	}
	return uncapital(when)
}
