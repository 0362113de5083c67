package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

const rate = 16_000

func TestFullScaleSineIsMinusThreeDecibels(t *testing.T) {
	apptest.Each(t, apptest.Registered(t), ".", func(t *testing.T, run apptest.RunFunc) {
		pcm := apptest.Sine(rate, 1000, 1, 2*time.Second)
		r := run(t, apptest.Options{}, apptest.Pieces(t, rate, pcm, time.Second)...).OK(t)
		got := apptest.Decode[level](t, r)
		if len(got) != 2 {
			t.Fatalf("got %d levels, want 2", len(got))
		}
		for i, l := range got {
			if l.RMS == nil || *l.RMS != -3.01 || l.Peak == nil || *l.Peak != 0 || !l.Speech || l.Ratio != 1 || l.At != float64(i) || l.Seconds != 1 {
				t.Errorf("second %d: got %s", i, r.Outputs()[i])
			}
		}
	})
}

func TestDigitalSilenceHasNoLevel(t *testing.T) {
	r := apptest.Run(t, apptest.Registered(t), apptest.Options{}, &event.Audio{Rate: 8000, Start: 4000, PCM: make([]byte, 16_000), Dropped: 640}).OK(t)
	const want = `{"at":0.5,"seconds":1,"rms_dbfs":null,"peak_dbfs":null,"speech":false,"speech_ratio":0,"lost_bytes":640}`
	if got := string(r.Outputs()[0]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLevels(t *testing.T) {
	square := func(v int16) []byte {
		var pcm []byte
		for i := range 8000 {
			s := v
			if i%2 == 1 {
				s = -v
			}
			pcm = append(pcm, byte(s), byte(s>>8))
		}
		return pcm
	}
	noise := rand.New(rand.NewPCG(1, 2))
	var white []byte
	for range 8000 {
		s := int16(noise.IntN(65_536) - 32_768)
		white = append(white, byte(s), byte(s>>8))
	}
	for _, c := range []struct {
		name      string
		pcm       []byte
		rms, peak float64 // dBFS
	}{
		{"half amplitude", apptest.Sine(8000, 440, 0.5, time.Second), -9.03, -6.02},
		{"a hundredth", apptest.Sine(8000, 440, 0.01, time.Second), -43.01, -40},
		{"square of full scale", square(math.MaxInt16), 0, 0},
		{"the smallest square", square(1), -90.31, -90.31},
		{"the lowest sample", square(math.MinInt16), 0, 0},
		{"white noise", white, 20 * math.Log10(1/math.Sqrt(3)), 0},
		{"one sample", []byte{0, 0x40}, -6.02, -6.02},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := measure(&event.Audio{Rate: 8000, Channels: 1, PCM: c.pcm}, settings{Threshold: -45, Hysteresis: 6})
			rms, peak := decibels(m.rms), decibels(m.peak)
			if rms == nil || math.Abs(*rms-c.rms) > 0.06 {
				t.Errorf("got RMS %v, want %v", *rms, c.rms)
			}
			if peak == nil || math.Abs(*peak-c.peak) > 0.06 {
				t.Errorf("got peak %v, want %v", *peak, c.peak)
			}
		})
	}
}

func TestSpeechHasHysteresis(t *testing.T) {
	const threshold, below = 0.0113, 0.007 // -42 dBFS and -46 dBFS as sines, around the default of -45
	loud := apptest.Sine(rate, 500, threshold, 200*time.Millisecond)
	soft := apptest.Sine(rate, 500, below, 200*time.Millisecond)
	faint := apptest.Sine(rate, 500, 0.001, 200*time.Millisecond)
	for _, c := range []struct {
		name       string
		pcm        []byte
		hysteresis float64
		ratio      float64
	}{
		{"soft alone is silence", soft, 6, 0},
		{"soft goes on after loud", slices.Concat(loud, soft), 6, 1},
		{"soft is silence without hysteresis", slices.Concat(loud, soft), 0, 0.5},
		{"faint ends it", slices.Concat(loud, faint, soft), 6, 1.0 / 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := measure(&event.Audio{Rate: rate, Channels: 1, PCM: c.pcm}, settings{Threshold: -45, Hysteresis: c.hysteresis})
			if math.Abs(m.ratio-c.ratio) > 0.01 {
				t.Errorf("got a ratio of %v, want %v", m.ratio, c.ratio)
			}
		})
	}
}

func TestSettingsMoveTheThreshold(t *testing.T) {
	piece := &event.Audio{Rate: rate, PCM: apptest.Sine(rate, 500, 0.01, time.Second)}
	for _, c := range []struct {
		settings string
		speech   bool
	}{
		{`{}`, true},
		{`{"threshold_dbfs":-20}`, false},
		{`{"threshold_dbfs":-60,"hysteresis_db":3,"speech_ratio":0.9}`, true},
	} {
		r := apptest.Run(t, apptest.Registered(t), apptest.Options{Settings: c.settings}, piece).OK(t)
		if got := apptest.Decode[level](t, r)[0].Speech; got != c.speech {
			t.Errorf("%s: got speech %v, want %v", c.settings, got, c.speech)
		}
	}
}

func TestTellsSpeechFromPausesInTheSampleConversation(t *testing.T) {
	talk := apptest.Conversation(t, "../../conversations/budget-meeting/transcript.json")
	r := apptest.Run(t, apptest.Registered(t), apptest.Options{}, talk.Pieces(t, time.Second)...).OK(t)
	spoken, all := 0, apptest.Decode[level](t, r)
	for _, l := range all {
		if l.Speech {
			spoken++
		}
	}
	if len(all) < 60 || spoken < len(all)/2 {
		t.Errorf("%d of %d seconds are speech", spoken, len(all))
	}
}
