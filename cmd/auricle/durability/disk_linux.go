package durability

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"
)

const (
	powerBytes = 1 << 30   // of the file system that forgets
	fullBytes  = 512 << 20 // of the one that fills up: a host wants 80 MiB free before it writes again
)

// newDisk makes the file system that a fault needs and mounts it at data. It
// needs the rights to do so; without them the error says what is missing.
func newDisk(f Fault, dir, data string) (_ *disk, err error) {
	d := &disk{fault: f, data: data}
	if f == FaultKill {
		return d, nil
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	if f == FaultFull {
		err := syscall.Mount("auricle", data, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", fullBytes))
		if err != nil {
			return nil, fmt.Errorf("mounting a small tmpfs, which takes root: %w", err)
		}
		return d, nil
	}
	d.image = filepath.Join(dir, "disk.img")
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(d.image, powerBytes); err != nil {
		return nil, err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making a file system: %w: %s", err, out)
	}
	return d, d.mount()
}

func (d *disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.data).CombinedOutput(); err != nil {
		return fmt.Errorf("mounting a file system of its own, which takes root and loop devices: %w: %s", err, out)
	}
	return nil
}

// forget is the power cut: nothing that is not on the disk yet gets there.
func (d *disk) forget() error {
	if d.fault != FaultPower {
		return nil
	}
	f, err := os.Open(d.data)
	if err != nil {
		return err
	}
	defer f.Close() // it was opened for the request only
	const (
		goingDown = 0x8004587d // FS_IOC_SHUTDOWN
		noFlush   = 2          // drop the journal that is in memory, too
	)
	flags := uint32(noFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), goingDown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return fmt.Errorf("cutting the power of a file system: %w", errno)
	}
	return nil
}

// back mounts the file system again after forget.
func (d *disk) back() error {
	if d.fault != FaultPower {
		return nil
	}
	if err := d.unmount(); err != nil {
		return err
	}
	return d.mount()
}

// unmount waits for what still holds the file system: a process that was
// killed may have a write under way.
func (d *disk) unmount() error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := syscall.Unmount(d.data, 0)
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return err
		}
		pause(context.Background(), 20*time.Millisecond)
	}
}

func (d *disk) close() error {
	if d.fault == FaultKill {
		return nil
	}
	return d.unmount()
}

// ballast is a file that takes all the room there is.
type ballast struct{ path string }

func (b ballast) remove() error { return os.Remove(b.path) }

func (d *disk) fill() (ballast, error) {
	b := ballast{filepath.Join(d.data, "ballast")}
	f, err := os.Create(b.path)
	if err != nil {
		return b, err
	}
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else if err != nil {
			return b, errors.Join(err, f.Close())
		}
	}
	return b, f.Close()
}
