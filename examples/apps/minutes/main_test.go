package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

// todo is an action item as the tests compare it.
type todo struct{ description, who, when string }

func todos(as []action) []todo {
	var out []todo
	for _, a := range as {
		out = append(out, todo{a.Description, a.Who, a.When})
	}
	return out
}

func TestMinutesOfTheSampleConversation(t *testing.T) {
	talk := apptest.Conversation(t, "../../conversations/budget-meeting/transcript.json")
	apptest.Each(t, apptest.Registered(t), ".", func(t *testing.T, run apptest.RunFunc) {
		r := run(t, apptest.Options{}, talk.Completed()).OK(t)
		all := apptest.Decode[minutes](t, r)
		if len(all) != 1 {
			t.Fatalf("got %d minutes, want 1", len(all))
		}
		m := all[0]
		if !strings.HasPrefix(m.Title, "Launch budget") {
			t.Errorf("got title %q", m.Title)
		}
		for _, part := range []string{"Ana and Ben talked about launch budget", "It was decided to drop the printed brochures"} {
			if !strings.Contains(m.Overview, part) {
				t.Errorf("got overview %q, want %q in it", m.Overview, part)
			}
		}
		want := []todo{
			{"Ask the studio for a new quote", "Ben", "by Wednesday"},
			{"Write the script", "Ana", "over the weekend"},
			{"Send the revised budget to Claire", "Ana", "by Friday"},
			{"Don't forget the venue deposit", "Ana", "Friday"},
			{"Book the big room for Tuesday", "Ben", "today"},
			{"Show the plan to the whole team", "everyone", ""},
			{"Invite everyone", "Ben", ""},
			{"Call the agency", "Ben", "tomorrow"},
		}
		if got := todos(m.ActionItems); !slices.Equal(got, want) {
			t.Errorf("got action items\n%q\nwant\n%q", got, want)
		}
		var decided []string
		for _, d := range m.Decisions {
			decided = append(decided, d.Description)
		}
		if want := []string{"Drop the printed brochures", "Move the launch to the ninth of June", "Shoot in one day"}; !slices.Equal(decided, want) {
			t.Errorf("got decisions %q, want %q", decided, want)
		}
		if want := []deadline{{"script", "Monday morning", "line-07"}, {"venue deposit", "Friday", "line-12"}}; !slices.Equal(m.Deadlines, want) {
			t.Errorf("got deadlines %v, want %v", m.Deadlines, want)
		}
		if s := m.Speakers; len(s) != 2 || s[0].Name != "Ana" || s[0].Share+s[1].Share < 0.99 || s[0].Share+s[1].Share > 1.01 {
			t.Errorf("got speakers %+v", s)
		}
	})
}

// said makes a conversation of lines "Name: text", two seconds each.
func said(lines ...string) *event.Conversation {
	c := &event.Conversation{}
	for i, l := range lines {
		speaker, text, _ := strings.Cut(l, ": ")
		c.Segments = append(c.Segments, event.Segment{
			ID: fmt.Sprint(i + 1), Speaker: speaker, Text: text, Start: float64(2 * i), End: float64(2*i + 2),
		})
	}
	return c
}

func TestActionItems(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  []todo
	}{
		{"a promise", []string{"Ann: I'll send the contract by Friday.", "Bo: Thanks."},
			[]todo{{"Send the contract", "Ann", "by Friday"}}},
		{"a curly apostrophe", []string{"Ann: I’ll send the contract tomorrow."},
			[]todo{{"Send the contract", "Ann", "tomorrow"}}},
		{"a deadline that opens the sentence", []string{"Ann: By the end of the month, I will draft the plan and review the alerts."},
			[]todo{{"Draft the plan", "Ann", "by the end of the month"}, {"Review the alerts", "Ann", "by the end of the month"}}},
		{"a request of the only other", []string{"Ann: Can you send me the figures by 5 pm on Thursday?", "Bo: Sure."},
			[]todo{{"Send Ann the figures", "Bo", "by 5 pm on Thursday"}}},
		{"a request by name, among three", []string{"Ann: Hello.", "Cy: Hello.", "Ann: Bo, could you please update the website?", "Cy: Good.", "Bo: Fine."},
			[]todo{{"Update the website", "Bo", ""}}},
		{"a request that is promised", []string{"Ann: Can you chase security about the firewall rules?", "Bo: Yes, I'll do it tomorrow morning."},
			[]todo{{"Chase security about the firewall rules", "Bo", "tomorrow morning"}}},
		{"a request that is repeated", []string{"Ann: Can you book the big room?", "Bo: I'll book the room today."},
			[]todo{{"Book the big room", "Bo", "today"}}},
		{"someone who is not there", []string{"Ann: So Claire will review the contract within two weeks."},
			[]todo{{"Review the contract", "Claire", "within two weeks"}}},
		{"a title and abbreviations", []string{"Ann: Then Dr. Smith needs to approve the 3.5 year rule by June 3rd."},
			[]todo{{"Approve the 3.5 year rule", "Dr. Smith", "by June 3rd"}}},
		{"everyone", []string{"Ann: We need to hire a tester next month."},
			[]todo{{"Hire a tester", "everyone", "next month"}}},
		{"a sentence in two segments", []string{"Ann: I'm going to write", "Ann: the job description next week."},
			[]todo{{"Write the job description", "Ann", "next week"}}},
		{"a pronoun", []string{"Ann: The runbook is old, so I'll rewrite it by the 15th."},
			[]todo{{"Rewrite the runbook", "Ann", "by the 15th"}}},
		{"no punctuation", []string{"Ann: ok so i'll call the landlord tomorrow"},
			[]todo{{"Call the landlord", "Ann", "tomorrow"}}},
		{"said twice", []string{"Ann: I'll pay the invoice.", "Bo: Good.", "Ann: So I will pay the invoice on Monday."},
			[]todo{{"Pay the invoice", "Ann", "on Monday"}}},

		{"asides", []string{"Ann: I'll be honest, I'll see. I'll say it again. Can you hear me? Could you imagine that?", "Bo: I won't pay. I will not sign it."}, nil},
		{"questions", []string{"Ann: Do we need to tell legal? How can you test without data? Should I send it?"}, nil},
		{"no names", []string{"Ann: This will cost money. Everything will change. Sales will drop."}, nil},
		{"not to worry", []string{"Ann: Please don't worry. Please have a seat."}, nil},
		{"let's start", []string{"Ann: Let's start. Let's move on.", "Bo: Okay."}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := todos(write(said(c.lines...)).ActionItems); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDecisions(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"decided", []string{"Ann: We decided to move the launch to June."}, []string{"Move the launch to June"}},
		{"proposed and agreed", []string{"Ann: Let's use the old logo.", "Bo: Agreed."}, []string{"Use the old logo"}},
		{"proposed and not agreed", []string{"Ann: Let's use the old logo.", "Bo: I wonder."}, nil},
		{"said again", []string{"Ann: So we drop the poster, and we launch in May."}, []string{"Drop the poster", "Launch in May"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, d := range write(said(c.lines...)).Decisions {
				got = append(got, d.Description)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestMoments(t *testing.T) {
	for text, want := range map[string]string{
		"send it by Friday":                        "by Friday",
		"send it by next Tuesday morning, please":  "by next Tuesday morning",
		"send it no later than the 3rd of March":   "no later than the 3rd of March",
		"send it before 14 March 2027":             "before 14 March 2027",
		"send it by March 5":                       "by March 5",
		"send it on 2026-06-09":                    "on 2026-06-09",
		"send it at 10:30 tomorrow":                "at 10:30 tomorrow",
		"send it tomorrow at 5 p.m.":               "tomorrow at 5 p.m",
		"send it first thing tomorrow":             "first thing tomorrow",
		"send it by close of business":             "by close of business",
		"send it in a couple of days":              "",
		"send it in two weeks":                     "in two weeks",
		"send it within the next 3 days":           "within the next 3 days",
		"send it as soon as possible":              "as soon as possible",
		"send it by the twenty-third of September": "by the twenty-third of September",
		"send it":                "",
		"send all the 15 copies": "",
		"march on":               "",
	} {
		got, _ := findMoment(text)
		if got.text != want {
			t.Errorf("%q: got %q, want %q", text, got.text, want)
		}
	}
}

func TestSentences(t *testing.T) {
	for text, want := range map[string][]string{
		"One. Two! Three?":                        {"One.", "Two!", "Three?"},
		"Dr. Smith paid $3.50, e.g. in May. Yes.": {"Dr. Smith paid $3.50, e.g. in May.", "Yes."},
		"See you at 5 p.m. on Monday. Bye.":       {"See you at 5 p.m. on Monday.", "Bye."},
		"Room No. 5 is free. No. I won't.":        {"Room No. 5 is free.", "No.", "I won't."},
		"Wait... what?! \"Yes.\" Look at a.com.":  {"Wait...", "what?!", "\"Yes.\"", "Look at a.com."},
		"no end":                                  {"no end"},
		"  ":                                      nil,
	} {
		var got []string
		for _, s := range split(text) {
			got = append(got, text[s[0]:s[1]])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestMinutesOfLittle(t *testing.T) {
	for _, c := range []*event.Conversation{{}, said("Ann: "), said("Ann: Hi."), {Segments: []event.Segment{{Text: "…"}, {IsUser: true, Text: "Ok"}}}} {
		m := write(c)
		if m.Title == "" || m.ActionItems == nil || m.Decisions == nil || m.Deadlines == nil || m.Topics == nil || m.Speakers == nil {
			t.Errorf("got %+v, want a title and lists, if empty", m)
		}
	}
}

// TestALongMeetingFitsTheLimits holds the app to what the host gives it for a
// meeting of an hour and more.
func TestALongMeetingFitsTheLimits(t *testing.T) {
	talk := apptest.Conversation(t, "../../conversations/budget-meeting/transcript.json")
	c := talk.Completed()
	one := c.Segments
	for i := range 39 {
		for _, s := range one {
			s.ID = fmt.Sprint(i, "-", s.ID)
			s.Start += float64(90 * (i + 1))
			s.End += float64(90 * (i + 1))
			c.Segments = append(c.Segments, s)
		}
	}
	r := apptest.RunModule(t, apptest.Build(t, "."), apptest.Options{}, c).OK(t)
	if res := r.Results[0]; res.Fuel > res.FuelLimit*3/4 {
		t.Errorf("%d of %d units of fuel for an hour's talk", res.Fuel, res.FuelLimit)
	}
}

// FuzzWrite holds that minutes can be written of anything, and that every
// segment they name is there.
func FuzzWrite(f *testing.F) {
	f.Add("Ann", "I'll send it by Friday. Can you call Bo?", "Bo", "Sure, let's. And")
	f.Add("", "don't forget", "make sure", "So we start and we")
	f.Add("0", "0", " ", "A")
	f.Add("A B", "Deadline for is Monday. due on. is the deadline for", "É", "’ - 5pm 10:30 the")
	f.Fuzz(func(t *testing.T, one, said, two, answered string) {
		m := write(&event.Conversation{Segments: []event.Segment{
			{ID: "1", Speaker: one, Text: said}, {ID: "2", Speaker: two, Text: answered}, {ID: "3", Speaker: one, Text: said},
		}})
		for _, a := range m.ActionItems {
			if a.Description == "" || a.Segment < "1" || a.Segment > "3" {
				t.Errorf("got %+v", a)
			}
		}
	})
}
