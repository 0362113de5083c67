//go:build wasip1

// Command audio is an Auricle app that is called with each second of audio, and
// emits how loud it was. It speaks to the host without the SDK, so that it can
// be built anywhere.
package main

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"unsafe"
)

//go:wasmimport auricle_v1 event_read
func eventRead(p unsafe.Pointer, n uint32) uint32

//go:wasmimport auricle_v1 manifest_write
func manifestWrite(p unsafe.Pointer, n uint32)

//go:wasmimport auricle_v1 emit
func emit(p unsafe.Pointer, n uint32) int32

//go:wasmexport auricle_v1_manifest
func manifest() {
	b := []byte(`{"name":"level","version":"1.0.0","events":{"audio":{"every_ms":1000}}}`)
	manifestWrite(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)))
}

// level is what is emitted for a second.
type level struct {
	Samples int     `json:"samples"`
	RMS     float64 `json:"rms"`  // 1 is full scale
	Peak    int     `json:"peak"` // 32768 is full scale
}

//go:wasmexport auricle_v1_handle
func handle(_, size int32) int32 {
	event := make([]byte, uint32(size))
	eventRead(unsafe.Pointer(unsafe.SliceData(event)), uint32(size))
	pcm := event[binary.LittleEndian.Uint32(event):]
	l := level{Samples: len(pcm) / 2}
	sum := 0.0
	for ; len(pcm) >= 2; pcm = pcm[2:] {
		x := int(int16(binary.LittleEndian.Uint16(pcm)))
		sum += float64(x * x)
		l.Peak = max(l.Peak, x, -x)
	}
	l.RMS = math.Sqrt(sum/float64(max(l.Samples, 1))) / 32768
	b, err := json.Marshal(l)
	if err != nil {
		return 1
	}
	emit(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)))
	return 0
}

func main() {}
