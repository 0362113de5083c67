package main

import (
	"hash/crc32"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels/golang"
)

// natives are the kernels in Go and ports of some others, by the kernel's name:
// the floor, where nothing keeps a program from anything.
var natives = map[string]func(uint32) uint32{
	"json_regexp": golang.Handle,
	"go_sort":     golang.Sort,
	"sha256":      golang.SHA256,
	"maps":        golang.Maps,
	"channels":    golang.Channels,

	"fib":    fib,
	"sieve":  sieve,
	"crc32":  crc,
	"matmul": matmul,
	"energy": energy,
	"dot":    dot,
}

const sumStart = 2166136261

func next(state *uint32) uint32 {
	*state = *state*1664525 + 1013904223
	return *state
}

func mix(sum, word uint32) uint32 { return (sum ^ word) * 16777619 }

func fib(n uint32) uint32 {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func sieve(n uint32) (primes uint32) {
	const limit = 1 << 20
	composite := make([]bool, limit)
	for range n {
		clear(composite)
		primes = 0
		for i := 2; i < limit; i++ {
			if composite[i] {
				continue
			}
			primes++
			for j := 2 * i; j < limit; j += i {
				composite[j] = true
			}
		}
	}
	return primes
}

func crc(n uint32) uint32 {
	table := crc32.MakeTable(crc32.IEEE)
	s, data := uint32(1), make([]byte, 1<<16)
	for i := range data {
		data[i] = byte(next(&s) >> 24)
	}
	c := ^uint32(0)
	for range n {
		for _, b := range data { // not crc32.Update, which has an instruction for it
			c = table[byte(c)^b] ^ c>>8
		}
	}
	return ^c
}

func matmul(n uint32) uint32 {
	const size = 128
	var a, b, c [size][size]float64
	s, sum := uint32(1), uint32(sumStart)
	for i := range size {
		for j := range size {
			a[i][j] = float64(next(&s) >> 16)
			b[i][j] = float64(next(&s) >> 16)
		}
	}
	for r := range n {
		for i := range size {
			for j := range size {
				t := 0.0
				for k := range size {
					t += float64(a[i][k] * b[k][j])
				}
				c[i][j] = t
			}
		}
		a[0][0]++
		sum = mix(sum, uint32(uint64(c[r%size][size-1])))
	}
	return sum
}

func energy(n uint32) uint32 {
	const samples, frame = 16000, 320
	var pcm [samples]int16
	s, sum := uint32(1), uint32(sumStart)
	for i := range pcm {
		pcm[i] = int16(next(&s) >> 16)
	}
	for r := range n {
		before, louder := int64(0), uint32(0)
		for at := 0; at < samples; at += frame {
			e := int64(0)
			for _, p := range pcm[at : at+frame] {
				v := min(int32(p), 32000)
				e += int64(v * v)
			}
			if e > before {
				louder++
			}
			before = e
		}
		pcm[r%samples] ^= 1
		sum = mix(sum, louder+uint32(before))
	}
	return sum
}

func dot(n uint32) uint32 {
	const samples = 4096
	var a, b [samples]int16
	s, sum := uint32(1), uint32(sumStart)
	for i := range samples {
		a[i] = int16(next(&s) >> 18)
		b[i] = int16(next(&s) >> 18)
	}
	for r := range n {
		t := int32(0)
		for i := range samples {
			t += int32(a[i]) * int32(b[i])
		}
		a[r%samples] ^= 1
		sum = mix(sum, uint32(t))
	}
	return sum
}
