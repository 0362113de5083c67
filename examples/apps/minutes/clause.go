package main

import "strings"

// determiners begin a noun phrase.
var determiners = set("the a an our my your his her their this these those")

// A clause ends before one of conjunctions, and before one of breaks when a
// comma stands before it.
var (
	conjunctions = set("but because since although though whereas")
	breaks       = set("so which who right ok okay please thanks thank then")
	subjects     = set("i you he she it we they the that this there")
)

// clauseEnd returns the byte at which the clause that begins at token from
// ends, end at the latest.
func clauseEnd(s *sentence, from, end int) int {
	for i := from + 1; i < len(s.tokens) && s.tokens[i].start < end; i++ {
		tk, last := s.tokens[i], s.tokens[i-1]
		gap := s.text[last.end:tk.start]
		comma := strings.Contains(gap, ",")
		switch {
		case conjunctions[tk.word], comma && breaks[tk.word], strings.ContainsAny(gap, ";:–—") || strings.Contains(gap, " - "):
			return last.end
		case comma && tk.word == "and" && i+1 < len(s.tokens):
			if next := s.tokens[i+1].word; subjects[next] || strings.HasSuffix(next, "'ll") {
				return last.end
			}
		case tk.word == "so" && i+1 < len(s.tokens) && s.tokens[i+1].word == "that":
			return last.end
		}
	}
	return end
}

// done is one thing to do, in a sentence.
type done struct {
	text       string // as it stands in the sentence
	start, end int    // bytes of the sentence
}

// clauses returns what follows h in s: one thing to do, or several joined by
// "and". Stop is where the next trigger begins.
func clauses(s *sentence, h hit, stop int) []done {
	start := s.tokens[h.after].start
	end := len(s.text)
	if stop < len(s.tokens) {
		end = s.tokens[stop].start
	}
	end = clauseEnd(s, h.after, end)
	end = start + len(trimTail(s.text[start:end]))

	// "write it and send it": each "and" before a verb begins another.
	var parts []done
	from := start
	for i, tk := range s.tokens {
		if tk.word != "and" && tk.word != "then" || tk.start <= from || tk.end >= end || i+1 >= len(s.tokens) {
			continue
		}
		next := s.tokens[i+1]
		if next.start >= end || !verbs[next.word] || fixed(s.tokens, i) {
			continue
		}
		parts = append(parts, piece(s, from, tk.start))
		from = next.start
	}
	return append(parts, piece(s, from, end))
}

// fixed reports whether the "and" at i joins two nouns that happen to be verbs
// as well: "the print and design work".
func fixed(ts []token, i int) bool {
	object := i+2 < len(ts) && determiners[ts[i+2].word]
	return !object && i > 1 && determiners[ts[i-2].word] && verbs[ts[i-1].word]
}

func piece(s *sentence, start, end int) done {
	text := trimTail(s.text[start:end])
	return done{text: text, start: start, end: start + len(text)}
}

// trimTail takes from the end of text what joins it to what follows.
func trimTail(text string) string {
	for {
		short := strings.TrimRight(text, " ,.?!;:-–—\"”’)")
		for _, w := range []string{" and", " or", " so", " then", " and then", " please", " right", " okay"} {
			if len(short) > len(w) && strings.EqualFold(short[len(short)-len(w):], w) {
				short = short[:len(short)-len(w)]
			}
		}
		if short == text {
			return text
		}
		text = short
	}
}

// describe returns d without its moment m, as the description of something to
// do.
func describe(d done, m moment, ok bool) string {
	text := d.text
	if ok && !m.weak {
		text = strings.TrimRight(text[:m.start], " ,") + text[m.end:]
	}
	text = trimTail(strings.Join(strings.Fields(text), " "))
	if words := strings.Fields(text); len(words) > 24 {
		text = strings.Join(words[:24], " ") + " …"
	}
	return text
}

// pronouns that may stand for a thing named before.
var pronouns = map[string]bool{"it": false, "that": false, "this": false, "that one": false, "this one": false, "them": true, "those": true, "these": true}

// resolve puts the thing meant in place of a pronoun that text ends with, or
// has alone after its verb. Before is the conversation up to text.
func resolve(text string, before func() string) string {
	words := strings.Fields(text)
	for n := 2; n >= 1; n-- {
		for i := 1; i+n <= len(words) && i <= 2; i++ {
			pronoun := strings.ToLower(strings.Join(words[i:i+n], " "))
			plural, ok := pronouns[pronoun]
			// "send that report": a determiner, not a pronoun.
			if !ok || i+n < len(words) && !particle[strings.ToLower(words[i+n])] {
				continue
			}
			thing := lastThing(before(), plural)
			if thing == "" {
				return text
			}
			return strings.Join(append(append(words[:i:i], thing), words[i+n:]...), " ")
		}
	}
	return text
}

// particle are words that may follow a pronoun that is an object.
var particle = set("to for with from in on at by up out off over into before after until today tomorrow and again back away down here there all once when as this next")

// lastThing returns the last noun phrase with an article in text, of the
// number asked for, or "".
func lastThing(text string, plural bool) string {
	ts := tokens(text)
	for i := len(ts) - 2; i >= 0; i-- {
		if !determiners[ts[i].word] {
			continue
		}
		end := i + 1
		for end < len(ts) && end-i <= 3 && content(ts[end].word) && text[ts[end-1].end:ts[end].start] == " " {
			end++
		}
		if end == i+1 {
			continue
		}
		last := ts[end-1].word
		if plural != (stem(last) != last && !strings.HasSuffix(last, "'s")) {
			continue
		}
		article := ts[i].text
		if ts[i].word == "a" || ts[i].word == "an" || ts[i].word == "this" || ts[i].word == "these" || ts[i].word == "those" {
			article = "the"
		}
		return strings.ToLower(article) + text[ts[i].end:ts[end-1].end]
	}
	return ""
}

// people puts names in place of "me" and "you" in what one asks of another.
func people(text, me, you string) string {
	words := strings.Fields(text)
	for i, w := range words {
		bare := strings.TrimRight(w, ",.")
		switch {
		case strings.EqualFold(bare, "me") && me != "" && me != "You":
			words[i] = me + w[len(bare):]
		case strings.EqualFold(bare, "my") && me != "" && me != "You":
			words[i] = me + "'s"
		case strings.EqualFold(bare, "you") && you != "" && you != "You":
			words[i] = you + w[len(bare):]
		case strings.EqualFold(bare, "your") && you != "" && you != "You":
			words[i] = you + "'s"
		}
	}
	return strings.Join(words, " ")
}
