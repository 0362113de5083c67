package main

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// counted is how often the words and phrases of a conversation occur.
type counted struct {
	words   map[string]int // by stem
	phrases []*phrase      // in order of first occurrence
}

// phrase is a run of one to three words that say something, side by side.
type phrase struct {
	text  string // as it was first written, in lower case unless a name
	stems []string
	count int
}

// count goes through the words of t.
func count(t talk) counted {
	c := counted{words: map[string]int{}}
	names := map[string]bool{}
	for _, s := range t.speakers {
		for _, tk := range tokens(s) {
			names[tk.word] = true
		}
	}
	byKey := map[string]*phrase{}
	for i := range t.sentences {
		s := &t.sentences[i]
		var run []token
		flush := func() {
			c.add(byKey, run)
			run = nil
		}
		for j, tk := range s.tokens {
			if len(run) > 0 && s.text[run[len(run)-1].end:tk.start] != " " {
				flush()
			}
			// A verb of action is a topic only after an article or another
			// word of content: "the plan", "launch plan".
			if !tk.content || names[tk.word] ||
				len(run) == 0 && verbs[tk.word] && (j == 0 || !determiners[s.tokens[j-1].word]) {
				flush()
				continue
			}
			c.words[tk.stem]++
			if run = append(run, tk); len(run) == 3 {
				flush()
			}
		}
		flush()
	}
	return c
}

// add counts one occurrence of the phrase that run is.
func (c *counted) add(byKey map[string]*phrase, run []token) {
	if len(run) == 0 {
		return
	}
	var texts, stems []string
	for _, tk := range run {
		texts = append(texts, label(tk.text))
		stems = append(stems, tk.stem)
	}
	key := strings.Join(stems, " ")
	p := byKey[key]
	if p == nil {
		p = &phrase{text: strings.Join(texts, " "), stems: stems}
		byKey[key] = p
		c.phrases = append(c.phrases, p)
	}
	p.count++
}

// score returns the weight of p: how often its words occur, and for words that
// come together again more than for words that met once.
func (c *counted) score(p *phrase) float64 {
	sum, often := 0, 0
	for _, s := range p.stems {
		n := c.words[s]
		sum += n
		often = max(often, n)
	}
	if often < 2 {
		return 0.1 * float64(sum) // nothing in it was ever said again
	}
	mean := float64(sum) / float64(len(p.stems))
	return mean * (1 + 0.35*float64(len(p.stems)-1)) * (1 + 0.25*float64(p.count-1))
}

// topics returns the n weightiest phrases that share no word, heaviest first.
func (c *counted) topics(n int) []string {
	ranked := slices.Clone(c.phrases)
	slices.SortStableFunc(ranked, func(a, b *phrase) int { return cmp.Compare(c.score(b), c.score(a)) })
	topics := []string{}
	used := map[string]bool{}
	for _, p := range ranked {
		if len(topics) == n {
			break
		}
		if slices.ContainsFunc(p.stems, func(s string) bool { return used[s] }) {
			continue
		}
		for _, s := range p.stems {
			used[s] = true
		}
		topics = append(topics, p.text)
	}
	return topics
}

// content reports whether word, in lower case, says what a sentence is about.
func content(word string) bool {
	r, _ := utf8.DecodeRuneInString(word)
	return utf8.RuneCountInString(word) > 2 && unicode.IsLetter(r) && !stop[word] && !stop[strings.TrimSuffix(word, "'s")]
}

// stem returns what the singular and plural of a word, and its genitive, have
// in common.
func stem(word string) string {
	word = strings.TrimSuffix(strings.TrimSuffix(word, "'s"), "'")
	switch {
	case len(word) > 4 && strings.HasSuffix(word, "ies"):
		return word[:len(word)-3] + "y"
	case len(word) > 4 && (strings.HasSuffix(word, "ches") || strings.HasSuffix(word, "shes") || strings.HasSuffix(word, "sses") || strings.HasSuffix(word, "xes")):
		return word[:len(word)-2]
	case len(word) > 3 && strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss") && !strings.HasSuffix(word, "us") && !strings.HasSuffix(word, "is"):
		return word[:len(word)-1]
	}
	return word
}

// label returns a word as it stands in a topic: abbreviations keep their
// capitals, a sentence's first word does not.
func label(text string) string {
	if strings.ToUpper(text) == text && len(text) > 1 {
		return text
	}
	return strings.ToLower(text)
}

// title makes a title of the first topics.
func title(topics []string) string {
	switch len(topics) {
	case 0:
		return "Conversation"
	case 1:
		return capital(topics[0])
	case 2:
		return capital(topics[0]) + " and " + topics[1]
	}
	return capital(topics[0]) + ", " + topics[1] + " and " + topics[2]
}

// capital returns s with its first letter as a capital.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// uncapital returns s with its first letter small, unless the first word is
// written in capitals.
func uncapital(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if strings.ToUpper(first) == first {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}
