package main
import ("testing";"github.com/auricle-dev/auricle/sdk/apptest")
func BenchmarkWrite(b *testing.B){ r:=apptest.Conversation(b,"../../conversations/budget-meeting/transcript.json").Completed(); s:=r.Segments; for range 9 {r.Segments=append(r.Segments,s...)}
t:=transcribe(r.Segments); c:=count(t); m:=write(r)
b.Run("transcribe",func(b *testing.B){for b.Loop(){transcribe(r.Segments)}})
b.Run("hits",func(b *testing.B){for b.Loop(){for i:=range t.sentences{t.hits(&t.sentences[i])}}})
b.Run("count",func(b *testing.B){for b.Loop(){count(t)}})
b.Run("topics",func(b *testing.B){for b.Loop(){c.topics(5)}})
b.Run("agreed",func(b *testing.B){for b.Loop(){agreed(t)}})
b.Run("deadlines",func(b *testing.B){for b.Loop(){deadlines(t)}})
b.Run("overview",func(b *testing.B){for b.Loop(){overview(t,c,m)}})
b.Run("telling",func(b *testing.B){for b.Loop(){telling(t,c,2)}})
b.Run("shares",func(b *testing.B){for b.Loop(){shares(r.Segments)}})
b.Run("all",func(b *testing.B){for b.Loop(){write(r)}})
}
