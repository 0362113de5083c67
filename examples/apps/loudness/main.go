// Loudness is an Auricle app: for each second of audio it emits the level and
// whether someone speaks.
package main

import (
	"fmt"
	"math"
	"time"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	sdk.Register(sdk.App{
		Name: "loudness", Version: "1.0.0",
		Description: "Measures each second's level, and tells speech from silence.",
		Author:      "The Auricle authors",
		Wants:       []sdk.Want{sdk.Receive(event.CapAudio, "to measure how loud it is; no audio is kept")},
		Settings: `{
			"type": "object",
			"properties": {
				"threshold_dbfs": {
					"description": "Level from which a moment of 20 ms counts as speech, in dBFS (RMS). Default -45.",
					"type": "number", "minimum": -96, "maximum": 0
				},
				"hysteresis_db": {
					"description": "How far below the threshold speech may fall before it has ended, in dB. Default 6.",
					"type": "number", "minimum": 0, "maximum": 40
				},
				"speech_ratio": {
					"description": "Share of a second's moments that must be speech for it to count as speech. Default 0.2.",
					"type": "number", "exclusiveMinimum": 0, "maximum": 1
				}
			},
			"additionalProperties": false
		}`,
		AudioEvery: time.Second,
		OnAudio:    onAudio,
	})
}

// settings are what an operator may set.
type settings struct {
	Threshold   float64 `json:"threshold_dbfs"`
	Hysteresis  float64 `json:"hysteresis_db"`
	SpeechRatio float64 `json:"speech_ratio"`
}

// level is what the app emits for a piece of audio. A level in dBFS is null
// for digital silence, which has none.
type level struct {
	At      float64  `json:"at"`                   // seconds from the conversation's start
	Seconds float64  `json:"seconds"`              // length of the piece
	RMS     *float64 `json:"rms_dbfs"`             // 0 is a square wave of full scale; a sine of full scale has -3.01
	Peak    *float64 `json:"peak_dbfs"`            // of the largest sample
	Speech  bool     `json:"speech"`               // whether enough of it is speech
	Ratio   float64  `json:"speech_ratio"`         // share of its moments that are speech, 0 to 1
	Lost    uint32   `json:"lost_bytes,omitempty"` // dropped just before this piece
}

func onAudio(ctx *sdk.Context, e *event.Audio) error {
	s := settings{Threshold: -45, Hysteresis: 6, SpeechRatio: 0.2}
	if err := ctx.Settings(&s); err != nil {
		return err
	}
	if e.Rate <= 0 {
		return fmt.Errorf("audio of %d samples a second can't be measured", e.Rate)
	}
	m := measure(e, s)
	return ctx.Emit(level{
		At:      round(e.Offset().Seconds(), 3),
		Seconds: round(e.Duration().Seconds(), 3),
		RMS:     decibels(m.rms),
		Peak:    decibels(m.peak),
		Speech:  m.ratio >= s.SpeechRatio,
		Ratio:   round(m.ratio, 2),
		Lost:    e.Dropped,
	})
}

// fullScale is the value of the largest possible sample: 0 dBFS.
const fullScale = 32768

// moment is the length of audio that is speech or silence as a whole.
const moment = 20 * time.Millisecond

// measured is what a piece of audio was found to be; 1 is full scale.
type measured struct {
	rms, peak float64
	ratio     float64 // share of moments that are speech
}

// measure goes through the samples once. Whether a moment is speech depends on
// the one before, within the piece: the app remembers nothing between pieces.
func measure(e *event.Audio, s settings) measured {
	size := max(1, int(int64(e.Rate)*int64(moment)/int64(time.Second)))
	open := power(s.Threshold)
	shut := power(s.Threshold - s.Hysteresis)

	var total, part float64 // sums of squares
	var peak, samples, inPart, moments, spoken int
	speaking := false
	judge := func() {
		mean := part / float64(inPart)
		speaking = mean >= open || speaking && mean >= shut
		moments++
		if speaking {
			spoken++
		}
		total += part
		part, inPart = 0, 0
	}
	for v := range e.Samples() {
		x := int(v)
		peak = max(peak, x, -x)
		part += float64(x * x)
		samples++
		if inPart++; inPart == size {
			judge()
		}
	}
	switch {
	case samples == 0:
		return measured{}
	case inPart >= size/2 || moments == 0:
		judge()
	default:
		total += part // too short a rest to judge
	}
	return measured{
		rms:   math.Sqrt(total/float64(samples)) / fullScale,
		peak:  float64(peak) / fullScale,
		ratio: float64(spoken) / float64(moments),
	}
}

// power returns the mean square, in samples squared, of a level in dBFS.
func power(dbfs float64) float64 { return fullScale * fullScale * math.Pow(10, dbfs/10) }

// decibels returns an amplitude in dBFS to two places, or nil for none at all.
func decibels(amplitude float64) *float64 {
	if amplitude <= 0 {
		return nil
	}
	db := round(20*math.Log10(amplitude), 2)
	return &db
}

// round returns v to so many decimal places.
func round(v float64, places int) float64 {
	p := math.Pow10(places)
	return math.Round(v*p)/p + 0 // + 0 makes -0 into 0
}

func main() {}
