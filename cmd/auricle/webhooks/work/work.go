// Package work is what the apps of "auricle bench webhook" do. The webhooks'
// server and the Wasm module are both made of it, so that each form of an app
// does the same.
//
// It imports what a module may import, and keeps nothing between calls.
package work

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Task is what an app does with segments. It is the app's name, too.
type Task string

// The tasks.
const (
	Keywords Task = "keywords" // counts watched words
	TalkTime Task = "talktime" // adds up how long each speaker spoke
	Promises Task = "promises" // finds who said that they will do something
	Greeting Task = "greeting" // finds who greeted; the app that hangs, where one does
)

// Tasks are all of them.
var Tasks = []Task{Keywords, TalkTime, Promises, Greeting}

// Do returns what the task makes of segments: a text for people, and behind it
// which segments it was made of; see Made. The error names a task that there is
// not.
func Do(t Task, segments []event.Segment) (string, error) {
	var said string
	switch t {
	case Keywords:
		said = keywords(segments)
	case TalkTime:
		said = talkTime(segments)
	case Promises:
		said = sentencesWith(segments, "will", "must", "promise", "going to")
	case Greeting:
		said = sentencesWith(segments, "hello", "welcome", "good morning")
	default:
		return "", fmt.Errorf("there is no task %q; there are %q", t, Tasks)
	}
	var b strings.Builder
	b.WriteString(said)
	b.WriteString(" [")
	for i, s := range segments {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(int(s.Start)))
	}
	b.WriteByte(']')
	return b.String(), nil
}

// Made returns the starts, in whole seconds, of the segments that what Do
// returned was made of; nil if there are none.
func Made(result string) (starts []int) {
	_, list, _ := strings.Cut(result, "[")
	list, _, ok := strings.Cut(list, "]")
	if !ok {
		return nil
	}
	for _, f := range strings.Fields(list) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil
		}
		starts = append(starts, n)
	}
	return starts
}

// watched are the words that Keywords counts.
var watched = []string{"budget", "deadline", "customer", "release", "contract", "invoice", "travel", "hiring"}

func keywords(segments []event.Segment) string {
	counts := map[string]int{}
	for _, s := range segments {
		for _, w := range words(s.Text) {
			if slices.Contains(watched, w) {
				counts[w]++
			}
		}
	}
	return list(counts, func(w string, n int) string { return fmt.Sprintf("%s %d", w, n) })
}

func talkTime(segments []event.Segment) string {
	seconds := map[string]float64{}
	for _, s := range segments {
		seconds[s.Speaker] += s.End - s.Start
	}
	return list(seconds, func(who string, took float64) string { return fmt.Sprintf("%s %.1f s", who, took) })
}

func list[V any](m map[string]V, say func(string, V) string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, say(k, m[k]))
	}
	return strings.Join(all, ", ")
}

// sentencesWith returns, of each sentence that has one of the phrases, who said
// it and its first words.
func sentencesWith(segments []event.Segment, phrases ...string) string {
	var found []string
	for _, s := range segments {
		for sentence := range strings.SplitSeq(s.Text, ".") {
			said := " " + strings.Join(words(sentence), " ") + " "
			if slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(said, " "+p+" ") }) {
				first := strings.Fields(sentence)
				found = append(found, s.Speaker+": "+strings.Join(first[:min(len(first), 6)], " "))
			}
		}
	}
	return strings.Join(found, "; ")
}

// words returns the words of text, in lower case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' })
}
