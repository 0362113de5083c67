// Package blocks reads the files in which the embedded JetStream server keeps
// its streams, without the server. The server cuts a file off at the first
// record that is bad and goes on; this says what is bad before it does, and can
// make files that hold all that is sound.
//
// A stream is a folder, <dir>/jetstream/$G/streams/<name>:
//
//	meta.inf, meta.sum   its configuration as JSON, and the checksum of that
//	msgs/<n>.blk         its records, in the order they were written
//	msgs/index.db        what is in the blocks, with a checksum; written from time to time
//	                     and when the server stops. Derived from the blocks
//	msgs/thw.db          when which record expires, without a checksum. Derived from the blocks
//	batches/             batches that were not finished; thrown away at a start
//
// A block is records one after the other, little endian:
//
//	length      4    of all of it; the highest bit says that there are headers
//	sequence    8    bit 62: the record deletes this sequence; bit 63: it was erased
//	time        8    Unix ns
//	subject's length 2, subject
//	headers' length 4, headers     only with headers
//	body
//	checksum    8    HighwayHash-64 of sequence, time, subject, headers and body
//
// The checksum's key is the SHA-256 of "<stream>-<n>", so that a block is sound
// only under its own name. It covers none of the three lengths. A wrong length
// of the record moves where the checksum is looked for, and a wrong length of
// the subject shows in a record with headers, which are skipped by it; headers
// have to end where their length says, as headers do. A wrong length of the
// subject in a record without headers is found by what the caller knows of
// bodies (Options.Valid).
//
// # What is no damage
//
// A host that is killed while it writes leaves the beginning of what it wrote
// at the end of the last block: a record that is cut off by the end of the file.
// Nobody was told that it is stored. Where the power fails too, a file may have
// grown before its bytes came: then the file ends in zeros. Both are a Tail,
// and what the server does, cutting it off, is right. A record that is all
// there and has a bad checksum is damage, also the last one. So is a file that
// ends too early: before a sequence that index.db knows.
//
// index.db is rebuilt when it is damaged or older than the blocks. While it is
// current, which is after an orderly stop, it also shows records and files that
// are missing without a trace in the blocks.
package blocks
