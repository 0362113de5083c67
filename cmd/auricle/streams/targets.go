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
		fs = append(fs, Figure{What: fmt.Sprintf("  CPU a stream, over that among %d", n.FewStreams), Measured: fmt.Sprintf("%.2fx", n.Flatness), Target: "0.90x to 1.10x", Met: n.Flatness >= 0.9 && n.Flatness <= 1.1})
		add("  the floor's", fmt.Sprintf("%.2fx", n.FloorFlatness))
		add("  goroutines a stream", fmt.Sprintf("%.2f", n.GoroutinesPerStream))
	}
	return fs
}
