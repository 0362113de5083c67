package apps_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
)

func TestNotifySlotIsFreeAfterItsTime(t *testing.T) {
	var n apps.NotifySlots
	now := time.Unix(1_000_000, 0)
	if !n.Reserve("u", now) || n.Reserve("u", now) {
		t.Fatal("a slot can be reserved once")
	}
	n.Settle("u", now, false)
	if !n.Reserve("u", now) {
		t.Fatal("a slot that was given back is not free")
	}
	n.Settle("u", now, true)
	if n.Reserve("u", now.Add(apps.NotifyEvery-time.Nanosecond)) {
		t.Error("free 1 ns before its time")
	}
	if !n.Reserve("u", now.Add(apps.NotifyEvery)) {
		t.Error("not free at its time")
	}
	n.Settle("u", now.Add(apps.NotifyEvery), false)
	if !n.Reserve("u", now.Add(apps.NotifyEvery)) {
		t.Error("an invocation that failed took the slot")
	}
}

func TestNotifySlotsAreBounded(t *testing.T) {
	var n apps.NotifySlots
	now := time.Unix(1_000_000, 0)
	for i := range apps.MaxNotified {
		uid := fmt.Sprint(i)
		if !n.Reserve(uid, now) {
			t.Fatalf("user %d refused", i)
		}
		n.Settle(uid, now, true)
	}
	if n.Reserve("one more", now) || n.Users() != apps.MaxNotified {
		t.Errorf("%d users remembered and another let in", n.Users())
	}
	later := now.Add(apps.NotifyEvery)
	if !n.Reserve("one more", later) || n.Users() != 1 {
		t.Errorf("%d users remembered after all their slots are free, want 1", n.Users())
	}
}
