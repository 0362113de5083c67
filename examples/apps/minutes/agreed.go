package main

import (
	"slices"
	"strings"
)

// item is something to do or something decided, while it is being put
// together.
type item struct {
	action
	bond bond
	at   int      // index of its sentence
	says []string // stems of its description
	weak bool     // whether its moment is
}

// vague descriptions say nothing by themselves: they answer something said
// before.
var vague = set("do it that this so them those handle take care of sort out deal with look into arrange one get on make sure happen yes try follow up check go for work be there")

// agreement opens an answer that accepts a proposal.
var agreement = set("agreed yes yeah yep ok okay sure good great perfect right fine absolutely definitely exactly deal sounds done alright")

// agreed returns what t's speakers said they, or others, would do, and what
// they decided.
func agreed(t talk) ([]action, []decision) {
	var items []item
	for i := range t.sentences {
		s := &t.sentences[i]
		for n, h := range s.hits {
			stop := len(s.tokens)
			if n+1 < len(s.hits) {
				stop = s.hits[n+1].at
			}
			for _, it := range t.items(i, h, stop) {
				items = add(items, it)
			}
			if h.trigger.bond == recap {
				for _, it := range t.recap(i, h) {
					items = add(items, it)
				}
				break
			}
		}
	}
	actions, decisions := []action{}, []decision{}
	for _, it := range items {
		it.Description = capital(it.Description)
		if it.bond == settled {
			decisions = append(decisions, decision{it.Description, it.Quote, it.Segment})
			continue
		}
		actions = append(actions, it.action)
	}
	return actions, decisions
}

// items returns what h, in the i-th sentence, binds someone to.
func (t *talk) items(i int, h hit, stop int) []item {
	s := &t.sentences[i]
	bond := h.trigger.bond
	if bond == recap {
		return nil
	}
	if bond == propose {
		if bond = group; t.accepted(i) {
			bond = settled
		}
	}
	who, other := t.who(i, h)
	var items []item
	for _, d := range clauses(s, h, stop) {
		m, dated := findMoment(d.text)
		text := strings.TrimSuffix(describe(d, m, dated), ", "+other)
		text = resolve(text, func() string { return t.before(i, d.start) })
		switch {
		case h.trigger.bond == request:
			text = people(text, s.speaker, "")
		case bond == self:
			text = people(text, "", other)
		}
		it := item{bond: bond, at: i, weak: m.weak, action: action{Description: text, Who: who, Quote: s.text, Segment: s.segment}}
		if dated && (!m.weak || strings.HasPrefix(strings.ToLower(m.text), "for ")) {
			it.When = m.text
		}
		items = append(items, it)
	}
	// The deadline of the last holds for those before it: "write and send it by Friday".
	for n := len(items) - 2; n >= 0; n-- {
		if items[n].When == "" && !items[n+1].weak {
			items[n].When = items[n+1].When
		}
	}
	if when := t.opening(s, h); when != "" {
		for n := range items {
			if items[n].When == "" {
				items[n].When = inside(when)
			}
		}
	}
	return slices.DeleteFunc(items, func(it item) bool { return empty(it) })
}

// opening returns the moment said before the trigger: "by Friday, I'll …", or
// "Friday is the deadline, so please …".
func (t *talk) opening(s *sentence, h hit) string {
	before := s.text[:s.tokens[h.at].start]
	m, ok := findMoment(before)
	if !ok || m.weak {
		return ""
	}
	leads := len(before[m.end:]) < 4 // nothing but a comma between
	if leads || strings.Contains(strings.ToLower(before), "deadline") && m.start == 0 {
		return m.text
	}
	return ""
}

// empty reports whether it says too little to be written down, and can't be
// the answer to an earlier one either.
func empty(it item) bool {
	words := strings.Fields(it.Description)
	return len(words) == 0 || len(words) == 1 && (it.When == "" || vague[strings.ToLower(words[0])])
}

// who returns the one bound by h, and the one that the speaker talks to.
func (t *talk) who(i int, h hit) (who, other string) {
	s := &t.sentences[i]
	other = t.addressed(i)
	switch h.trigger.bond {
	case self:
		return s.speaker, other
	case request:
		return other, other
	case third:
		return h.name, other
	}
	if w := h.trigger.words[0]; w == "somebody" || w == "someone" {
		return "", other
	}
	return "everyone", other
}

// addressed returns whom the i-th sentence is said to: one who is called by
// name, the only other speaker, or the next to speak.
func (t *talk) addressed(i int) string {
	s := &t.sentences[i]
	for n, tk := range s.tokens {
		if !t.named(tk.text, 1) || strings.EqualFold(tk.text, s.speaker) {
			continue
		}
		after := strings.HasPrefix(s.text[tk.end:], ",")
		before := strings.HasSuffix(s.text[:tk.start], ", ")
		last := n == len(s.tokens)-1
		if n == 0 && after || before && last || before && after {
			return tk.text
		}
	}
	if len(t.speakers) == 2 {
		if t.speakers[0] == s.speaker {
			return t.speakers[1]
		}
		return t.speakers[0]
	}
	for _, later := range t.sentences[i+1:] {
		if later.speaker != s.speaker {
			return later.speaker
		}
	}
	return ""
}

// accepted reports whether the next to speak after the i-th sentence agrees.
func (t *talk) accepted(i int) bool {
	for _, later := range t.sentences[i+1:] {
		if later.turn > t.sentences[i].turn {
			return later.turn == t.sentences[i].turn+1 && len(later.tokens) > 0 && agreement[later.tokens[0].word]
		}
	}
	return false
}

// before returns what was said before byte at of the i-th sentence, as far as
// a pronoun reaches back.
func (t *talk) before(i, at int) string {
	var b strings.Builder
	for _, s := range t.sentences[max(0, i-3):i] {
		b.WriteString(s.text)
		b.WriteByte('\n')
	}
	b.WriteString(t.sentences[i].text[:at])
	return b.String()
}

// recap returns the decisions of a sentence like "So we drop the brochures, we
// shoot in one day, and we launch in June."
func (t *talk) recap(i int, h hit) []item {
	s := &t.sentences[i]
	var items []item
	from := h.after
	take := func(to int) {
		end := len(s.text)
		if to < len(s.tokens) {
			end = s.tokens[to].start
		}
		if d := piece(s, s.tokens[from].start, end); len(strings.Fields(d.text)) > 1 {
			items = append(items, item{bond: settled, at: i, action: action{Description: d.text, Who: "everyone", Quote: s.text, Segment: s.segment}})
		}
	}
	for n := from; n+1 < len(s.tokens); n++ {
		if s.tokens[n].word == "we" && verbs[s.tokens[n+1].word] {
			take(n)
			from = n + 1
		}
	}
	take(len(s.tokens))
	return items
}

// add puts it among items, or into the one that says the same already.
func add(items []item, it item) []item {
	it.says = stems(it.Description)
	for n := len(items) - 1; n >= 0; n-- {
		old := &items[n]
		if !sameBond(*old, it) {
			continue
		}
		a, b := old.says, it.says
		answer := old.bond == request && it.bond == self && old.Who == it.Who && it.at-old.at <= 3
		if answer && allVague(it.Description) {
			fill(old, it)
			return items
		}
		if v := overlap(a, b); v >= 0.75 || answer && v >= 0.5 {
			was, is := len(strings.Fields(old.Description)), len(strings.Fields(it.Description))
			if len(b) > len(a) || len(b) == len(a) && (is > was || is == was && answer) {
				old.Description, old.says = it.Description, it.says
			}
			fill(old, it)
			return items
		}
	}
	if allVague(it.Description) {
		return items
	}
	return append(items, it)
}

// sameBond reports whether a and b may be the same: what was decided is not
// what is to be done, and what one does is not what another does.
func sameBond(a, b item) bool {
	if (a.bond == settled) != (b.bond == settled) {
		return false
	}
	return a.Who == b.Who || a.Who == "everyone" || b.Who == "everyone"
}

// fill adds what old lacks.
func fill(old *item, it item) {
	if it.When != "" && (old.When == "" || old.weak && !it.weak) {
		old.When, old.weak = it.When, it.weak
	}
	if old.Who == "everyone" || old.Who == "" {
		old.Who = it.Who
	}
}

// allVague reports whether no word of a description says what it is about.
func allVague(description string) bool {
	for _, tk := range tokens(description) {
		if !vague[tk.word] && !stop[tk.word] {
			return false
		}
	}
	return true
}

// stems returns the words of content in text, verbs of action included.
func stems(text string) []string {
	var out []string
	for _, tk := range tokens(text) {
		if st := stem(tk.word); (content(tk.word) || verbs[tk.word] || digit(tk.word[0])) && !slices.Contains(out, st) {
			out = append(out, st)
		}
	}
	return out
}

// overlap returns the share of the shorter list that is in the other.
func overlap(a, b []string) float64 {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) == 0 {
		return 0
	}
	both := 0
	for _, s := range a {
		if slices.Contains(b, s) {
			both++
		}
	}
	return float64(both) / float64(len(a))
}
