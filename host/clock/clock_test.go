package clock_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/clock"
)

func TestAlarmsRingInOrderToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Close()
		begin := time.Now()
		var rang []time.Duration
		var want []time.Duration
		alarms := make([]clock.Alarm, 200)
		for i := range alarms {
			d := time.Duration(rand.Int64N(int64(time.Hour)))
			want = append(want, d)
			alarms[i].Init(c, func() {
				if got := time.Since(begin); got != d {
					t.Errorf("rang after %v, set to %v", got, d)
				}
				rang = append(rang, d)
			})
			alarms[i].In(d)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		slices.Sort(want)
		if !slices.Equal(rang, want) {
			t.Errorf("%d alarms rang, in order: %v; want all %d in order", len(rang), slices.IsSorted(rang), len(want))
		}
		if n := c.Len(); n != 0 {
			t.Errorf("%d alarms are left", n)
		}
	})
}

func TestAnAlarmRingsOnceAndOnlyWhenItWasSetLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Close()
		begin := time.Now()
		var rang []time.Duration
		var a clock.Alarm
		a.Init(c, func() { rang = append(rang, time.Since(begin)) })
		var other clock.Alarm // keeps the heap from being trivial
		other.Init(c, func() {})
		other.In(90 * time.Second)

		a.In(10 * time.Second)
		a.In(time.Minute) // later
		time.Sleep(30 * time.Second)
		a.In(5 * time.Second) // sooner
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.Equal(rang, []time.Duration{35 * time.Second}) {
			t.Errorf("rang after %v, want once, after 35 s", rang)
		}
		a.In(time.Second)
		if !a.IsSet() {
			t.Error("an alarm that is set says it is not")
		}
		a.Stop()
		a.Stop()
		if a.IsSet() {
			t.Error("a stopped alarm says it is set")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(rang) != 1 {
			t.Errorf("rang although it was stopped")
		}
	})
}

func TestAnAlarmMaySetItselfAndOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Close()
		n := 0
		var every, late clock.Alarm
		every.Init(c, func() {
			n++
			every.In(time.Second)
			if n == 5 {
				late.Stop()
			}
		})
		late.Init(c, func() { t.Error("the alarm rang that another one had stopped") })
		every.In(time.Second)
		late.In(5*time.Second + 1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n != 10 {
			t.Errorf("rang %d times in 10 s, want 10", n)
		}
	})
}

func TestAClosedClockRingsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		var a, b clock.Alarm
		a.Init(c, func() { t.Error("an alarm rang after Close") })
		b.Init(c, func() { t.Error("an alarm rang that was set after Close") })
		a.In(time.Second)
		c.Close()
		c.Close()
		b.In(time.Second)
		a.Stop()
		time.Sleep(time.Minute)
	})
}

// An alarm set and set again, as every stream's is, among so many others.
func BenchmarkSet(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(map[int]string{100: "alarms=100", 10_000: "alarms=10000"}[n], func(b *testing.B) {
			c := clock.New()
			defer c.Close()
			alarms := make([]clock.Alarm, n)
			for i := range alarms {
				alarms[i].Init(c, func() {})
				alarms[i].In(time.Hour + time.Duration(i))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				alarms[i%n].In(2*time.Hour + time.Duration(i))
				i++
			}
			if c.Len() != n {
				b.Fatalf("%d alarms are set, want %d", c.Len(), n)
			}
		})
	}
}
