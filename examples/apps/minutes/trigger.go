package main

import (
	"slices"
	"strings"
)

// bond is who is bound by a sentence.
type bond int

const (
	self    bond = iota // "I'll …": the speaker
	request             // "can you …": whom the speaker talks to
	group               // "we need to …": everyone
	third               // "Claire will …": the one named
	settled             // "we decided to …": a decision
	propose             // "let's …": a decision once someone agrees
	recap               // "so we …": a decision said again
)

// trigger is a run of words after which something to do follows.
type trigger struct {
	words []string
	bond  bond
	verb  bool // only before one of verbs
	dated bool // only with a moment
}

// triggers are tried longest first.
var triggers = sorted(
	from(self, "i'll", "i will", "i'm going to", "i am going to", "i'm gonna", "i need to", "i have to", "i've got to", "i must", "i promise to", "i plan to", "i'm happy to", "i agreed to"),
	careful(from(self, "i should", "i can", "i could", "i shall"), true, false),
	careful(from(self, "let me", "i want to", "i'd like to"), true, true),
	from(request, "can you", "could you", "would you", "will you", "you need to", "you have to", "you must", "i need you to", "i want you to", "i'd like you to", "remember to", "your job is to"),
	careful(from(request, "please", "you should", "you'll", "you will", "make sure to", "make sure you"), true, false),
	keeping(request, "make sure that", "make sure", "don't forget"),
	from(group, "we need to", "we have to", "we must", "we've got to", "we ought to", "somebody needs to", "someone needs to", "somebody has to", "someone has to", "somebody should", "someone should"),
	careful(from(group, "we should", "we'll", "we will", "we're going to", "we are going to"), true, false),
	from(settled, "we decided to", "we've decided to", "we have decided to", "we agreed to", "we've agreed to", "we have agreed to", "the decision is to", "i decided to", "i've decided to", "it's decided to"),
	from(propose, "let's", "let us"),
	careful(from(recap, "so we", "so we'll", "then we"), true, false),
)

// triggersBy holds triggers by their first word, longest first.
var triggersBy = func() map[string][]trigger {
	by := map[string][]trigger{}
	for _, tr := range triggers {
		by[tr.words[0]] = append(by[tr.words[0]], tr)
	}
	return by
}()

// thirds follow a name.
var thirds = sorted(from(third, "will", "is going to", "needs to", "has to", "should", "must", "agreed to", "promised to", "offered to"))

func from(b bond, phrases ...string) []trigger {
	var ts []trigger
	for _, p := range phrases {
		ts = append(ts, trigger{words: strings.Fields(p), bond: b})
	}
	return ts
}

// keeping are triggers that begin what is to be done themselves.
func keeping(b bond, phrases ...string) []trigger { return from(b, phrases...) }

func careful(ts []trigger, verb, dated bool) []trigger {
	for i := range ts {
		ts[i].verb, ts[i].dated = verb, dated
	}
	return ts
}

func sorted(groups ...[]trigger) []trigger {
	all := slices.Concat(groups...)
	slices.SortStableFunc(all, func(a, b trigger) int { return len(b.words) - len(a.words) })
	return all
}

// hit is a trigger found in a sentence.
type hit struct {
	trigger trigger
	name    string // of whom a third-person trigger binds
	at      int    // token at which the trigger begins, its name included
	after   int    // token at which what is to be done begins
}

// fillers stand between a trigger and its verb.
var fillers = set("please also just then definitely certainly quickly maybe perhaps kindly both all again now actually probably still")

var honorifics = set("mr mrs ms dr prof professor doctor")

// openers are verbs after which "let's …" speaks of the conversation itself.
var openers = set("start begin continue go get look talk wrap stop take turn pause recap hear")

// asking are words before "can you" that make it a plain question.
var asking = set("how why what where when who which do did does should would could can")

// hits returns the triggers in s, in order.
func (t *talk) hits(s *sentence) []hit {
	var hs []hit
	for i := 0; i < len(s.tokens); {
		h, ok := t.hitAt(s, i)
		if !ok {
			i++
			continue
		}
		hs = append(hs, h)
		i = max(h.after, i+1)
	}
	return hs
}

func (t *talk) hitAt(s *sentence, i int) (hit, bool) {
	for _, tr := range triggersBy[s.tokens[i].word] {
		if !begins(s.tokens[i:], tr.words) {
			continue
		}
		after := i + len(tr.words)
		if tr.words[0] == "make" || tr.words[0] == "don't" {
			after = i
		}
		return t.judge(s, hit{trigger: tr, at: i, after: after})
	}
	tk := s.tokens[i]
	who, short := strings.CutSuffix(tk.text, "'ll")
	if !t.named(who, i) {
		return hit{}, false
	}
	if i > 0 && honorifics[s.tokens[i-1].word] {
		who = s.text[s.tokens[i-1].start:s.tokens[i].end]
	}
	if short {
		return t.judge(s, hit{trigger: trigger{bond: third, verb: true}, name: who, at: i, after: i + 1})
	}
	for _, tr := range thirds {
		if begins(s.tokens[i+1:], tr.words) {
			tr.verb = true
			return t.judge(s, hit{trigger: tr, name: who, at: i, after: i + 1 + len(tr.words)})
		}
	}
	return hit{}, false
}

// judge reports whether something to do really follows h.
func (t *talk) judge(s *sentence, h hit) (hit, bool) {
	for h.after < len(s.tokens) && fillers[s.tokens[h.after].word] {
		h.after++
	}
	if h.after >= len(s.tokens) {
		return h, false
	}
	next := s.tokens[h.after].word
	switch {
	case next == "not" || next == "never" || asides[next] && !(h.trigger.bond == request && next == "remember"):
		return h, false
	case h.trigger.bond == propose && (openers[next] || next == "move" && t.follows(s, h.after+1, "on")):
		return h, false // "let's start", "let's move on"
	case h.trigger.verb && !verbs[next] && next != "don't":
		return h, false
	case h.at > 0 && asking[s.tokens[h.at-1].word]:
		return h, false
	case s.question() && h.trigger.bond != request && h.trigger.bond != propose:
		return h, false // "do we need to …?"
	case next == "don't" && h.trigger.bond == request && h.after+1 < len(s.tokens) && s.tokens[h.after+1].word != "forget":
		return h, false // "please don't worry"
	}
	if h.trigger.dated {
		if _, ok := findMoment(s.text[s.tokens[h.after].start:]); !ok {
			return h, false
		}
	}
	return h, true
}

// follows reports whether the i-th word of s is word.
func (*talk) follows(s *sentence, i int, word string) bool {
	return i < len(s.tokens) && s.tokens[i].word == word
}

// named reports whether word, the i-th of its sentence, is someone's name: a
// speaker's, or one that is written with a capital inside a sentence.
func (t *talk) named(word string, i int) bool {
	if word == "" || word[0] < 'A' || word[0] > 'Z' || word == "I" || strings.ContainsAny(word, "'’") {
		return false
	}
	for _, s := range t.speakers {
		first, _, _ := strings.Cut(s, " ")
		if strings.EqualFold(s, word) || strings.EqualFold(first, word) {
			return true
		}
	}
	lower := strings.ToLower(word)
	if stop[lower] || verbs[lower] || strings.ToUpper(word) == word {
		return false
	}
	return i > 0 || t.capitals[word]
}

// begins reports whether ts begins with words.
func begins(ts []token, words []string) bool {
	if len(ts) < len(words) {
		return false
	}
	for i, w := range words {
		if ts[i].word != w {
			return false
		}
	}
	return true
}
