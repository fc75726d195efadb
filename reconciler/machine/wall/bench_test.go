//go:build linux

package wall_test

import (
	"os/exec"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

func BenchmarkStart(b *testing.B) {
	for _, level := range []wall.Level{wall.None, wall.Namespaces, wall.Landlock} {
		b.Run(string(level), func(b *testing.B) {
			work, tmp := b.TempDir(), b.TempDir()
			for b.Loop() {
				cmd := &exec.Cmd{Path: "/bin/true", Args: []string{"true"}, Dir: work, Env: []string{"PATH=/bin"}}
				if level == wall.None {
					if err := cmd.Run(); err != nil {
						b.Fatal(err)
					}
					continue
				}
				in, err := startHere(cmd, wall.Spec{Level: level, Write: []string{work}, Tmp: tmp})
				if err != nil {
					b.Fatal(err)
				}
				if end := in.Wait(); !end.Success() || in.Close() != nil {
					b.Fatal(end)
				}
			}
		})
	}
}
