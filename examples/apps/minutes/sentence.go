package main

import (
	"maps"
	"strings"
	"unicode"

	"github.com/auricle-dev/auricle/sdk/event"
)

// sentence is one sentence of a conversation.
type sentence struct {
	speaker string
	segment string // id of the segment in which it begins
	text    string
	tokens  []token
	turn    int   // counts the changes of speaker
	hits    []hit // what binds someone in it
}

// question reports whether s asks something.
func (s *sentence) question() bool {
	return strings.HasSuffix(strings.TrimRight(s.text, `"'”’)`), "?")
}

// token is a word of a sentence, with its apostrophes and hyphens.
type token struct {
	text       string // as written
	word       string // in lower case, with plain apostrophes
	start, end int    // bytes of the sentence

	stem    string // what it has in common with its plural
	content bool   // whether it says what the sentence is about
	timely  bool   // whether it may be part of when something is to be done
}

// talk is a conversation as sentences.
type talk struct {
	sentences []sentence
	speakers  []string        // in order of first speaking
	capitals  map[string]bool // words written with a capital inside a sentence
}

// transcribe puts segments together into sentences: speech recognisers cut
// them where the speaker breathes.
func transcribe(segments []event.Segment) talk {
	known := map[string]token{} // a conversation has few words, often
	t := talk{capitals: map[string]bool{}}
	seen := map[string]bool{}
	turn := 0
	for i := 0; i < len(segments); turn++ {
		speaker := name(segments[i])
		if !seen[speaker] {
			seen[speaker] = true
			t.speakers = append(t.speakers, speaker)
		}
		var text strings.Builder
		var starts []int // in text, of each segment of the turn
		first := i
		for ; i < len(segments) && name(segments[i]) == speaker; i++ {
			if text.Len() > 0 {
				text.WriteByte(' ')
			}
			starts = append(starts, text.Len())
			text.WriteString(strings.Join(strings.Fields(segments[i].Text), " "))
		}
		at := 0
		for _, span := range split(text.String()) {
			for at+1 < len(starts) && starts[at+1] <= span[0] {
				at++
			}
			s := sentence{
				speaker: speaker, segment: segments[first+at].ID, turn: turn,
				text: text.String()[span[0]:span[1]],
			}
			s.tokens = tokens(s.text)
			for n := range s.tokens {
				tk := &s.tokens[n]
				k, ok := known[tk.word]
				if !ok {
					k = token{stem: stem(tk.word), content: content(tk.word), timely: timeWords[tk.word] || digit(tk.word[0])}
					known[tk.word] = k
				}
				tk.stem, tk.content, tk.timely = k.stem, k.content, k.timely
				if n > 0 && unicode.IsUpper(rune(tk.text[0])) {
					t.capitals[tk.text] = true
				}
			}
			t.sentences = append(t.sentences, s)
		}
	}
	for i := range t.sentences {
		t.sentences[i].hits = t.hits(&t.sentences[i])
	}
	return t
}

// name returns what to call the speaker of a segment.
func name(s event.Segment) string {
	switch n := strings.Join(strings.Fields(s.Speaker), " "); {
	case n != "":
		return n
	case s.IsUser:
		return "You"
	}
	return "Someone"
}

// abbreviations end in a full stop that does not end a sentence.
var abbreviations = set(`mr mrs ms dr prof st vs etc e.g i.e eg ie no nos approx dept est
	inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec a.m p.m am pm u.s u.k`)

// split returns where the sentences of text begin and end.
func split(text string) [][2]int {
	var spans [][2]int
	start := 0
	add := func(end int) {
		from := start + len(text[start:end]) - len(strings.TrimLeft(text[start:end], " "))
		if to := from + len(strings.TrimRight(text[from:end], " ")); to > from {
			spans = append(spans, [2]int{from, to})
		}
		start = end
	}
	for i := 0; i < len(text); i++ {
		if !strings.ContainsRune(".?!", rune(text[i])) {
			continue
		}
		end := i + 1
		for end < len(text) && strings.ContainsRune(`.?!"')`, rune(text[end])) {
			end++
		}
		if end < len(text) && text[end] != ' ' {
			continue // a decimal point, an address
		}
		if text[i] == '.' && end == i+1 && end < len(text) && goesOn(text[start:i], text[end:]) {
			continue
		}
		add(end)
		i = end - 1
	}
	add(len(text))
	return spans
}

// goesOn reports whether a full stop between before and after is that of an
// abbreviation or an initial.
func goesOn(before, after string) bool {
	last := before[strings.LastIndexByte(before, ' ')+1:]
	after = strings.TrimLeft(after, " ")
	lower := after != "" && unicode.IsLower(rune(after[0]))
	word := strings.ToLower(last)
	switch {
	case len(last) == 1 && unicode.IsUpper(rune(last[0])) && last != "I":
		return true // J. Smith
	case word == "a.m" || word == "p.m" || word == "am" || word == "pm" || word == "etc":
		return lower
	case word == "no":
		return after != "" && unicode.IsDigit(rune(after[0])) // No. 5, but: No. I won't.
	}
	return abbreviations[word]
}

// tokens returns the words of text.
func tokens(text string) []token {
	ts := make([]token, 0, 1+strings.Count(text, " "))
	start := -1
	flush := func(end int) {
		if start < 0 {
			return
		}
		raw := strings.TrimRight(text[start:end], "'’-")
		if raw != "" {
			word := strings.ReplaceAll(strings.ToLower(raw), "’", "'")
			ts = append(ts, token{text: raw, word: word, start: start, end: start + len(raw)})
		}
		start = -1
	}
	for i, r := range text {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if start < 0 {
				start = i
			}
		case start >= 0 && strings.ContainsRune("'’-", r):
		case start >= 0 && strings.ContainsRune(".,:", r) && between(text, i):
			// 4.5, 1,000 and 10:30 are one word each
		default:
			flush(i)
		}
	}
	flush(len(text))
	return ts
}

// between reports whether the byte at i stands between two digits.
func between(text string, i int) bool {
	return i > 0 && i+1 < len(text) && digit(text[i-1]) && digit(text[i+1])
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

// set returns the words of s.
func set(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// union returns the words of all sets.
func union(sets ...map[string]bool) map[string]bool {
	all := map[string]bool{}
	for _, s := range sets {
		maps.Copy(all, s)
	}
	return all
}
