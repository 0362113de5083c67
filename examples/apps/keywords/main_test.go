package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

func words(ws ...string) apptest.Options {
	return apptest.Options{Settings: settings{Words: ws}}
}

func TestSaysWhoSaidAWatchedWord(t *testing.T) {
	apptest.Each(t, apptest.Registered(t), ".", func(t *testing.T, run apptest.RunFunc) {
		r := run(t, words("budget", "end of June"),
			apptest.Say("Ann", "Good morning.", "The BUDGET is due at the end of June."),
			apptest.Say("Ben", "The budget, again?", "Yes, the budget."),
		).OK(t)
		notified := []string{"Ann said “budget”: The BUDGET is due at the end of June.", "Ben said “budget”: The budget, again?"}
		if got := r.Notifications(); !slices.Equal(got, notified) {
			t.Errorf("got notifications %q, want %q: one an event", got, notified)
		}
		want := []found{
			{Word: "budget", Segment: "2", Speaker: "Ann", At: 2},
			{Word: "end of June", Segment: "2", Speaker: "Ann", At: 2},
			{Word: "budget", Segment: "1", Speaker: "Ben", At: 0},
			{Word: "budget", Segment: "2", Speaker: "Ben", At: 2},
		}
		if got := apptest.Decode[found](t, r); !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestEmitsWhatItMayNotNotify(t *testing.T) {
	o := words("budget")
	o.RecentlyNotified = true
	r := apptest.Run(t, apptest.Registered(t), o, apptest.Say("Ann", "The budget.")).OK(t)
	if len(r.Outputs()) != 1 || len(r.Notifications()) != 0 {
		t.Errorf("got %s and %q, want one find and no notification", r.Outputs(), r.Notifications())
	}
}

func TestKeepsStillWithoutAWatchedWord(t *testing.T) {
	r := apptest.Run(t, apptest.Registered(t), words("budget"), apptest.Say("Ann", "Budgets are dull.", "")).OK(t)
	if len(r.Outputs()) != 0 || len(r.Notifications()) != 0 {
		t.Errorf("got %s and %q", r.Outputs(), r.Notifications())
	}
}

func TestHearsTheSampleConversation(t *testing.T) {
	talk := apptest.Conversation(t, "../../conversations/budget-meeting/transcript.json")
	r := apptest.Run(t, apptest.Registered(t), words("budget", "deadline"), talk.Transcripts(1)...).OK(t)
	var heard []string
	for _, f := range apptest.Decode[found](t, r) {
		heard = append(heard, f.Word)
	}
	for _, w := range []string{"budget", "deadline"} {
		if !slices.Contains(heard, w) {
			t.Errorf("heard %q, want %q among them", heard, w)
		}
	}
}

func TestMoreFindsThanTheHostTakesAreLeftOut(t *testing.T) {
	texts := slices.Repeat([]string{"budget"}, maxFinds+10)
	r := apptest.Run(t, apptest.Registered(t), words("budget"), apptest.Say("Ann", texts...)).OK(t)
	if n := len(r.Outputs()); n != maxFinds || len(r.Notifications()) != 1 {
		t.Errorf("got %d outputs, want %d", n, maxFinds)
	}
	if log := r.Results[0].Log; len(log) != 1 || log[0].Level != "warn" {
		t.Errorf("got log %v, want one warning", log)
	}
}

func TestSettingsThatCannotBeHeardAreRefused(t *testing.T) {
	for _, bad := range []struct {
		name     string
		settings string
		want     string
	}{
		{"no letter", `{"words":["++"]}`, `"++" in words has no letter or digit`},
		{"unknown", `{"word":["a"]}`, `the app has no setting "word"`},
		{"wrong type", `{"words":"a"}`, `"words": got string`},
	} {
		t.Run(bad.name, func(t *testing.T) {
			r := apptest.Run(t, apptest.Registered(t), apptest.Options{Settings: bad.settings}, apptest.Say("Ann", "Hello."))
			if res := r.Results[0]; res.Outcome != apptest.AppError || !strings.Contains(res.Error, bad.want) {
				t.Errorf("got %s: %s, want app_error with %q", res.Outcome, res.Error, bad.want)
			}
		})
	}
}

func TestFindsWholeWordsInAnyCase(t *testing.T) {
	for _, c := range []struct {
		watched, text string
		want          string // what of text matches, "" for nothing
	}{
		{"budget", "The Budget.", "Budget"},
		{"budget", "budgets", ""},
		{"budget", "the budget's end", "budget"},
		{"budget", "a budget-friendly hotel", "budget"},
		{"straße", "Die STRASSE", ""}, // case folding, not spelling
		{"ÉTÉ", "un été chaud", "été"},
		{"ΟΔΟΣ", "η οδος", "οδος"}, // the small sigma of a word's end
		{"deadline", "deadline", "deadline"},
		{"end of june", "By the end\n of  June!", "end\n of  June"},
		{"end of june", "the end, of course, of june", ""},
		{"don't", "I don’t know", "don’t"},
		{"预算", "预算", "预算"},
		{"5", "5 of 50", "5"},
	} {
		w, err := newWatch([]string{c.watched})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if ms := w.find(c.text); len(ms) > 0 {
			got = c.text[ms[0].start:ms[0].end]
		}
		if got != c.want {
			t.Errorf("%q in %q: got %q, want %q", c.watched, c.text, got, c.want)
		}
	}
}

func TestMessageFitsANotification(t *testing.T) {
	long := strings.Repeat("wörd ", 100)
	for _, c := range []struct {
		name string
		seg  event.Segment
		word string
		want string // that it contains
	}{
		{"the user", event.Segment{IsUser: true, Speaker: "Ann", Text: "a b"}, "a", "You said “a”: a b"},
		{"nobody", event.Segment{Text: "a"}, "a", "Someone said “a”: a"},
		{"in the middle", event.Segment{Speaker: "Ann", Text: long + "budget " + long}, "budget", "… "},
		{"at the start", event.Segment{Speaker: "Ann", Text: "budget " + long}, "budget", ": budget wörd"},
		{"at the end", event.Segment{Speaker: "Ann", Text: long + "budget"}, "budget", "wörd budget"},
		{"a long name", event.Segment{Speaker: long, Text: long + "budget"}, "budget", "budget"},
		{"a long word", event.Segment{Speaker: "Ann", Text: strings.Repeat("ü", 500)}, strings.Repeat("Ü", 500), "üü"},
		{"line ends", event.Segment{Speaker: "A\nnn", Text: "a\r\n\tb"}, "a", "A nn said “a”: a b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := newWatch([]string{c.word})
			if err != nil {
				t.Fatal(err)
			}
			ms := w.find(c.seg.Text)
			if len(ms) != 1 {
				t.Fatalf("got matches %v", ms)
			}
			got := message(c.seg, ms[0])
			if n := utf8.RuneCountInString(got); n < event.NotifyMinChars || n > event.NotifyMaxChars || !strings.Contains(got, c.want) {
				t.Errorf("got %q, %d characters, want %d to %d with %q", got, n, event.NotifyMinChars, event.NotifyMaxChars, c.want)
			}
		})
	}
}

// FuzzMessage holds that whatever is said, a message fits a notification.
func FuzzMessage(f *testing.F) {
	f.Add("The budget is due.", "budget", "Ann")
	f.Add(strings.Repeat("é", 200)+" budget", "BUDGET", "")
	f.Add("\xff budget \xff", "budget", "\xff")
	f.Fuzz(func(t *testing.T, text, word, speaker string) {
		w, err := newWatch([]string{word})
		if err != nil {
			return
		}
		for _, m := range w.find(text) {
			got := message(event.Segment{Text: text, Speaker: speaker}, m)
			if n := utf8.RuneCountInString(got); n < event.NotifyMinChars || n > event.NotifyMaxChars {
				t.Fatalf("got %q, %d characters", got, n)
			}
		}
	})
}
