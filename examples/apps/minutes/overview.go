package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/auricle-dev/auricle/sdk/event"
)

// share is how much one speaker spoke.
type share struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Words   int     `json:"words"`
	Share   float64 `json:"share"` // of all that was spoken, 0 to 1: by time, or by words where there are no times
}

// shares returns every speaker's share, the largest first.
func shares(segments []event.Segment) []share {
	all := []share{}
	index := map[string]int{}
	var seconds float64
	words := 0
	for _, s := range segments {
		n := name(s)
		i, ok := index[n]
		if !ok {
			i = len(all)
			index[n] = i
			all = append(all, share{Name: n})
		}
		w := len(strings.Fields(s.Text))
		all[i].Seconds += max(0, s.End-s.Start)
		all[i].Words += w
		seconds += max(0, s.End-s.Start)
		words += w
	}
	for i := range all {
		switch {
		case seconds > 0:
			all[i].Share = math.Round(100*all[i].Seconds/seconds) / 100
		case words > 0:
			all[i].Share = math.Round(100*float64(all[i].Words)/float64(words)) / 100
		}
		all[i].Seconds = math.Round(10*all[i].Seconds) / 10
	}
	slices.SortStableFunc(all, func(a, b share) int { return cmp.Compare(b.Share, a.Share) })
	return all
}

// overview says in a few sentences what t was about: who spoke, of what, the
// sentences that say most of it, and what was decided.
func overview(t talk, c counted, m minutes) string {
	if len(t.sentences) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(list(t.speakers, 4))
	if len(m.Topics) > 0 {
		fmt.Fprintf(&b, " talked about %s.", list(m.Topics[:min(3, len(m.Topics))], 3))
	} else {
		b.WriteString(" talked.")
	}
	for _, i := range telling(t, c, 2) {
		s := t.sentences[i]
		fmt.Fprintf(&b, " %s: “%s”", s.speaker, s.text)
	}
	if len(m.Decisions) > 0 {
		var ds []string
		for _, d := range m.Decisions {
			ds = append(ds, uncapital(d.Description))
		}
		fmt.Fprintf(&b, " It was decided to %s.", list(ds, 4))
	}
	return b.String()
}

// telling returns the indices of the n sentences that say most, in order,
// leaving out those that the minutes have as something to do or decided.
func telling(t talk, c counted, n int) []int {
	type scored struct {
		at    int
		score float64
	}
	var all []scored
	for i := range t.sentences {
		s := &t.sentences[i]
		if v := c.weight(s); v > 0 && len(s.hits) == 0 {
			all = append(all, scored{i, v})
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	var picked []int
	for _, s := range all {
		if len(picked) == n {
			break
		}
		repeats := slices.ContainsFunc(picked, func(p int) bool {
			return overlap(stems(t.sentences[p].text), stems(t.sentences[s.at].text)) >= 0.6
		})
		if !repeats {
			picked = append(picked, s.at)
		}
	}
	slices.Sort(picked)
	return picked
}

// weight returns how much of what the conversation is about s says.
func (c *counted) weight(s *sentence) float64 {
	if len(s.tokens) < 5 || s.question() {
		return 0
	}
	sum, figures := 0.0, 0.0
	timely := false
	seen := map[string]bool{}
	for _, tk := range s.tokens {
		timely = timely || tk.timely
		if digit(tk.word[0]) || tk.word == "percent" || tk.word == "thousand" || tk.word == "million" {
			figures = 1
		}
		if tk.content && !seen[tk.stem] {
			seen[tk.stem] = true
			sum += float64(c.words[tk.stem])
		}
	}
	if timely {
		if m, ok := firstMoment(s.text, s.tokens); ok && !m.weak {
			figures += 0.5
		}
	}
	// Long sentences say more because they are long; a sentence that opens
	// with "it" or "that" leans on another.
	v := (sum + 1.5*figures) / math.Sqrt(float64(max(len(s.tokens), 8)))
	if leaning[s.tokens[0].word] {
		v *= 0.7
	}
	return v
}

var leaning = set(`it it's that that's this they they're he she those these and but or so because which he's she's`)

// list joins items as a sentence does, at most n of them.
func list(items []string, n int) string {
	if len(items) > n {
		items = append(slices.Clone(items[:n]), fmt.Sprintf("%d more", len(items)-n))
	}
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}
