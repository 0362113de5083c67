package apps

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/fetch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// The limits of an invocation where neither the operator nor the manifest says
// otherwise.
const (
	realtimeFuel      = 50_000_000
	realtimeWall      = 250 * time.Millisecond
	completionFuel    = 1_000_000_000
	completionWall    = 5 * time.Second
	defaultMemoryByte = 64 << 20
)

// everyone stands for every user in config.App.Users.
const everyone = "*"

// App is an installed app. Make one with Load or Open.
type App struct {
	Name     string
	Manifest event.Manifest
	Module   *plugins.Module
	Settings json.RawMessage // a JSON object, as settings_read gives it; {} when the operator has set none

	config config.App         // the operator's
	held   []event.Capability // declared and granted
	state  event.State        // fresh, unless asked for and granted; "" is fresh
	slots  *notifySlots       // nil: notifications are not rate-limited
	web    *fetch.Client      // nil: no web service is called
	keeper Keeper             // of recordings; nil: nothing is recorded
}

// Holds reports whether the app has c: its manifest declares it and the
// operator granted it.
func (a *App) Holds(c event.Capability) bool { return slices.Contains(a.held, c) }

// Capabilities returns what the app holds, in the manifest's order.
func (a *App) Capabilities() []event.Capability { return slices.Clone(a.held) }

// Serves reports whether a user has this app.
func (a *App) Serves(uid string) bool {
	return slices.Contains(a.config.Users, everyone) || slices.Contains(a.config.Users, uid)
}

// State returns how long the app's memory lives: for a session where its
// manifest asks for that and the operator granted it.
func (a *App) State() event.State { return cmp.Or(a.state, event.StateFresh) }

// Limits returns what bounds one invocation with an event of kind k: the
// operator's limits, else the manifest's, else 50 million units of fuel and
// 250 ms, for a conversation or a tool 1,000 million and 5 s. Those two have a
// wall-clock limit of their own, where one is set, by the same order.
func (a *App) Limits(k event.Kind) plugins.Limits {
	var suggested event.Limits
	if a.Manifest.Limits != nil {
		suggested = *a.Manifest.Limits
	}
	millis := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	operators := a.config.Limits
	if k == event.KindConversation || k == event.KindTool {
		return plugins.Limits{
			Fuel: cmp.Or(operators.Fuel, suggested.Fuel, completionFuel),
			Wall: cmp.Or(operators.ConversationWall, operators.Wall,
				millis(suggested.ConversationWallMillis), millis(suggested.WallMillis), completionWall),
		}
	}
	return plugins.Limits{
		Fuel: cmp.Or(operators.Fuel, suggested.Fuel, realtimeFuel),
		Wall: cmp.Or(operators.Wall, millis(suggested.WallMillis), realtimeWall),
	}
}

// memoryBytes returns what bounds an instance's memory, by the operator's
// limits, else the manifest's, else 64 MiB.
func memoryBytes(l config.AppLimits, m *event.Manifest) int64 {
	var suggested int64
	if m.Limits != nil {
		suggested = m.Limits.MemoryBytes
	}
	return cmp.Or(l.MemoryBytes, suggested, defaultMemoryByte)
}

// AudioPiece returns the length of the pieces in which the app wants audio.
func (a *App) AudioPiece() time.Duration {
	if w := a.config.Webhook; w != nil {
		return w.AudioEvery
	}
	ms := 0
	if a.Manifest.Events.Audio != nil {
		ms = a.Manifest.Events.Audio.EveryMillis
	}
	return time.Duration(cmp.Or(ms, event.DefaultAudioMillis)) * time.Millisecond
}

// AudioLatest reports whether, of audio that waits, the app wants the newest
// piece only.
func (a *App) AudioLatest() bool {
	return a.Manifest.Events.Audio != nil && a.Manifest.Events.Audio.Latest
}

// Webhook returns what the app posts to, if it is a webhook, otherwise nil.
func (a *App) Webhook() *config.Webhook { return a.config.Webhook }

// Close closes the app's module and its connections: it waits for running invocations until ctx
// ends, then ends them. Afterwards Invoke returns an error. Set.Close does it
// for the apps of a Set.
func (a *App) Close(ctx context.Context) error {
	err := a.Module.Close(ctx)
	if a.web != nil {
		a.web.Close()
	}
	return err
}
