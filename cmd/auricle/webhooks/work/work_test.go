package work_test

import (
	"slices"
	"testing"

	"github.com/auricle-dev/auricle/cmd/auricle/webhooks/work"
	"github.com/auricle-dev/auricle/sdk/event"
)

var talk = []event.Segment{
	{Text: "Good morning. The budget is late, and the Budget's owner is away.", Speaker: "A", Start: 3, End: 4.5},
	{Text: "I will call the customer. Nobody else will.", Speaker: "B", Start: 7, End: 9},
}

func TestTasksDoTheirWork(t *testing.T) {
	for _, c := range []struct {
		task work.Task
		want string
	}{
		{work.Keywords, "budget 1, customer 1 [3 7]"}, // "budget's" is another word
		{work.TalkTime, "A 1.5 s, B 2.0 s [3 7]"},
		{work.Promises, "B: I will call the customer; B: Nobody else will [3 7]"},
		{work.Greeting, "A: Good morning [3 7]"},
	} {
		got, err := work.Do(c.task, talk)
		if err != nil || got != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.task, got, err, c.want)
		}
		if made := work.Made(got); !slices.Equal(made, []int{3, 7}) {
			t.Errorf("%s: made of %v, want [3 7]", c.task, made)
		}
	}
	if got, err := work.Do("dishes", talk); err == nil {
		t.Errorf("a task that there is not made %q", got)
	}
}

func TestMadeOfNothing(t *testing.T) {
	for _, bad := range []struct{ result, why string }{
		{"", "empty"},
		{"budget 1", "no list"},
		{"budget 1 [3", "a list without end"},
		{"budget 1 [x]", "no number"},
	} {
		if made := work.Made(bad.result); made != nil {
			t.Errorf("%s: got %v, want none", bad.why, made)
		}
	}
}
