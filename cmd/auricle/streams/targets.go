package streams

import "fmt"

// Figure is one figure for people, beside its target.
type Figure struct {
	What, Measured string
	Target         string // "" when there is none
	Met            bool
}

// Figures returns what was measured, beside the targets.
func (r Report) Figures() (fs []Figure) {
	add := func(what, measured string) { fs = append(fs, Figure{What: what, Measured: measured}) }
	most := func(what, form string, v, target float64) {
		fs = append(fs, Figure{What: what, Measured: fmt.Sprintf(form, v), Target: "at most " + fmt.Sprintf(form, target), Met: v <= target})
	}
	if f := r.Floor; f != nil {
		add("floor: CPU s a stream and hour", fmt.Sprintf("%.2f", f.CPUPerStreamHour))
		add("floor: resident a stream", fmt.Sprintf("%.1f KB", f.RSSPerStream/1000))
	}
	if n := r.NoAudioApp; n != nil {
		fs = append(fs, Figure{What: "no audio app: streams, in real time", Measured: fmt.Sprint(n.Streams), Target: "at least 8000", Met: n.Streams >= 8000 && n.LateP99Millis <= lateMillis})
		most("  CPU, over the floor's", "%.2fx", n.CPURatio, 1.3)
		most("  resident a stream", "%.0f B", n.RSSPerStream, 16<<10)
		fs = append(fs, Figure{What: fmt.Sprintf("  CPU a stream, over that among %d", n.FewStreams), Measured: fmt.Sprintf("%.2fx", n.Flatness), Target: "at most 1.10x", Met: n.Flatness <= 1.1})
		add("  the floor's", fmt.Sprintf("%.2fx", n.FloorFlatness))
		add("  goroutines a stream", fmt.Sprintf("%.2f", n.GoroutinesPerStream))
	}
	if t := r.Transcripts; t != nil {
		add(fmt.Sprintf("transcripts: %d streams, acknowledged a second", t.Streams), fmt.Sprintf("%.0f", t.PerSecond))
		add("  acknowledged after, p50 / p99", fmt.Sprintf("%.1f / %.1f ms", t.AckP50Millis, t.AckP99Millis))
		add("  cores / resident a stream", fmt.Sprintf("%.2f / %.1f KB", t.Cores, t.RSSPerStream/1000))
	}
	if a := r.AudioApp; a != nil {
		fs = append(fs, Figure{What: "audio app: streams, in real time", Measured: fmt.Sprint(a.Streams), Target: "at least 1500", Met: a.Streams >= 1500 && a.LateP99Millis <= lateMillis && a.keptUp()})
		most("  dropped", "%.0f", float64(a.Dropped), 0)
		most("  failed", "%.0f", float64(a.Failed), 0)
		add("  invocations a second", fmt.Sprintf("%.0f", a.PerSecond))
		add("  cores / resident a stream", fmt.Sprintf("%.2f / %.1f KB", a.Cores, a.RSSPerStream/1000))
	}
	growth := func(what string, grown, before int64) {
		fs = append(fs, Figure{What: what, Measured: fmt.Sprintf("%.1f MB of %.1f MB", float64(grown)/1e6, float64(before)/1e6), Target: "at most 5 %", Met: grown*20 <= before})
	}
	if c := r.Churn; c != nil {
		fs = append(fs, Figure{What: "churn: connects and disconnects", Measured: fmt.Sprint(c.Cycles), Target: "at least 20000", Met: c.Cycles >= 20_000})
		growth("  resident memory grown by", c.RSSGrowth, c.RSSBefore)
		most("  goroutines left", "%.0f", float64(c.GoroutinesLeft), 0)
		most("  descriptors left", "%.0f", float64(c.FDsLeft), 0)
	}
	if l := r.Long; l != nil {
		growth(fmt.Sprintf("long: %d streams for an hour, %.0f times as fast: grown by", l.Streams, l.Speed), l.RSSGrowth, l.RSSBefore)
	}
	if d := r.Disturbed; d != nil {
		most("disturbed: p99 of acks beside a hung app", "%.2fx", d.HungAppRatio, 1.2)
		most("  beside slow and dead readers", "%.2fx", d.SlowReadersRatio, 1.2)
		most("  beside a reconnect storm", "%.2fx", d.StormRatio, 1.2)
	}
	return fs
}
