package blocks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a file holds, its sound records and the stretches between them are
// all of it, once; and the sound records alone are a sound block.
func FuzzBlock(f *testing.F) {
	block := appendMessage(nil, 1, 1, "talk.a", "", `{"a":1}`)
	block = appendMessage(block, 1, 2, "talk.b", "NATS/1.0\r\nA: b\r\n\r\n", `{"b":1}`)
	block = newBlock("TALK", 1, nil, nil).appendMark(block, 1|deletionBit, 7)
	block = appendMessage(block, 1, 3, "talk.c", "", "")
	f.Add(block)
	f.Add(block[:len(block)-9])
	f.Add(block[5:])
	f.Add(append(bytes.Clone(block), make([]byte, 64)...))
	for at := 0; at < len(block); at += 7 {
		c := bytes.Clone(block)
		c[at] ^= 0x10
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBlock("TALK", 1, data, nil)
		var whole []byte
		var sequences []uint64
		at := 0
		b.scan(func(r Record) {
			if r.Offset != at || r.Bytes < minRecordBytes {
				t.Fatalf("a record of %d bytes at %d, want at %d", r.Bytes, r.Offset, at)
			}
			at += r.Bytes
			whole = r.appendTo(whole, data)
			sequences = append(sequences, r.Sequence)
		}, func(s stretch) {
			if s.from != at || s.to <= s.from {
				t.Fatalf("a stretch from %d to %d, want from %d", s.from, s.to, at)
			}
			at = s.to
			if s.mended {
				whole = s.read.appendTo(whole, data)
				sequences = append(sequences, s.read.Sequence)
			}
			b.unfinished(s)
		})
		if at != len(data) {
			t.Fatalf("read to %d of %d", at, len(data))
		}
		i := 0
		newBlock("TALK", 1, whole, nil).scan(func(r Record) {
			if r.Sequence != sequences[i] {
				t.Fatalf("record %d has sequence %d, want %d", i, r.Sequence, sequences[i])
			}
			i++
		}, func(s stretch) { t.Fatalf("sound records are not a sound block: %+v", s) })
		if i != len(sequences) {
			t.Fatalf("%d records, want %d", i, len(sequences))
		}
		if x, err := readIndex("TALK", data, true); err == nil && len(x.blocks) > len(data) {
			t.Fatalf("index.db of %d bytes lists %d blocks", len(data), len(x.blocks))
		}
	})
}

// appendMessage appends a record as the server writes it to block n of TALK.
func appendMessage(to []byte, n uint32, sequence uint64, subject, headers, body string) []byte {
	b := newBlock("TALK", n, nil, nil)
	start := len(to)
	length := uint32(minRecordBytes + len(subject) + len(body))
	if headers != "" {
		length += 4 + uint32(len(headers))
		length |= headersBit
	}
	to = binary.LittleEndian.AppendUint32(to, length)
	to = binary.LittleEndian.AppendUint64(to, sequence)
	to = binary.LittleEndian.AppendUint64(to, 7)
	to = binary.LittleEndian.AppendUint16(to, uint16(len(subject)))
	to = append(to, subject...)
	b.hash.Write(to[start+4 : start+20])
	b.hash.Write([]byte(subject))
	if headers != "" {
		to = binary.LittleEndian.AppendUint32(to, uint32(len(headers)))
		to = append(to, headers...)
		b.hash.Write([]byte(headers))
	}
	to = append(to, body...)
	b.hash.Write([]byte(body))
	return b.hash.Sum(to)
}

// badDisk gives its bytes but for those of one sector.
type badDisk struct {
	data []byte
	bad  int64
}

var errDisk = errors.New("input/output error")

func (d badDisk) ReadAt(p []byte, at int64) (int, error) {
	if n := d.bad - at; n >= 0 && n < int64(len(p)) {
		return copy(p, d.data[at:d.bad]), errDisk
	} else if at > d.bad && at < d.bad+4096 {
		return 0, errDisk
	}
	return bytes.NewReader(d.data).ReadAt(p, at)
}

func TestWhatTheDiskCanNotReadIsLostAlone(t *testing.T) {
	var data []byte
	for i := range uint64(40) {
		data = appendMessage(data, 1, i+1, "talk.a", "", strings.Repeat("x", 1000))
	}
	buf := make([]byte, len(data))
	unread, by, err := readAll(badDisk{data, 3 * 4096}, buf)
	if unread != 4096 || !errors.Is(by, errDisk) || err != nil {
		t.Fatalf("%d bytes unread: %v, %v", unread, by, err)
	}
	f := &blockFile{}
	f.scan(newBlock("TALK", 1, buf, nil))
	if f.records != 35 || len(f.bad) == 0 || f.bad[0].prior != 11 || f.bad[len(f.bad)-1].next != 17 {
		t.Errorf("%d records, %+v, want all but the five that the sector touches", f.records, f.bad)
	}
}

// Conversations of 4 KB with four results each, in blocks as the server makes
// them; told for a hundred thousand, with a warm page cache.
func BenchmarkCheck(b *testing.B) {
	dir := b.TempDir()
	msgs := filepath.Join(dir, "jetstream", "$G", "streams", "TALK", dirMessages)
	if err := os.MkdirAll(msgs, 0o700); err != nil {
		b.Fatal(err)
	}
	body := `{"text":"` + strings.Repeat("x", 4000)
	conversations, sequence := 0, uint64(0)
	for n := uint32(1); n <= 16; n++ {
		var block []byte
		for len(block) < 8<<20 {
			for i := range 5 {
				sequence++
				part := body[:500]
				if i == 0 {
					part = body
				}
				block = appendMessage(block, n, sequence, fmt.Sprintf("talk.c%d.%d", conversations, i), "NATS/1.0\r\nAuricle-Write: 1234567890\r\n\r\n", part)
			}
			conversations++
		}
		if err := os.WriteFile(filepath.Join(msgs, fmt.Sprintf("%d.blk", n)), block, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		r, err := Check(b.Context(), Options{Dir: dir})
		if err != nil || len(r.Damage()) > 0 || r.Streams[0].Messages != 5*conversations {
			b.Fatal(err, r.Damage())
		}
		b.SetBytes(r.Bytes())
	}
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N)*100_000/float64(conversations), "ms/100k")
}
