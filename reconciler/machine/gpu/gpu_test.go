// What the driver tells, and what a run that took GPUs sees of them.

package gpu

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// information is what NVIDIA's driver tells of a GPU.
const information = `Model: 		 %s
IRQ:   		 120
GPU UUID: 	 GPU-%08d-1111-2222-3333-444455556666
Video BIOS: 	 96.00.74.00.01
Bus Type: 	 PCIe
DMA Size: 	 52 bits
Bus Location: 	 0000:%02d:00.0
Device Minor: 	 %d
GPU Firmware: 	 550.54.15
GPU Excluded:	 No
`

func gpuUUID(i int) string { return fmt.Sprintf("GPU-%08d-1111-2222-3333-444455556666", i) }

func TestTheDriverTellsOfGPUs(t *testing.T) {
	text := func(model string, i int) *fstest.MapFile {
		return &fstest.MapFile{Data: fmt.Appendf(nil, information, model, i, i, i)}
	}
	excluded := text("NVIDIA A100", 3)
	excluded.Data = []byte(strings.Replace(string(excluded.Data), "Excluded:	 No", "Excluded:	 Yes", 1))
	hidden := text("NVIDIA A100", 4)
	hidden.Data = []byte(strings.Replace(string(hidden.Data), "GPU-00000004", "GPU-????????", 1))
	got := Read(fstest.MapFS{
		"0000:01:00.0/information": text("NVIDIA H100 80GB HBM3", 1), "0000:00:00.0/information": text("NVIDIA A100-SXM4-40GB", 0), "0000:00:00.0/registry": {},
		"0000:03:00.0/information": excluded, "0000:04:00.0/information": hidden, "0000:05:00.0/information": {Data: []byte("Model: x\n")}, "0000:06:00.0/information": {},
	})
	want := []GPU{{Model: "NVIDIA A100-SXM4-40GB", UUID: gpuUUID(0), Minor: 0}, {Model: "NVIDIA H100 80GB HBM3", UUID: gpuUUID(1), Minor: 1}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v", got)
	}
	if none := Read(os.DirFS(filepath.Join(t.TempDir(), "none"))); len(none) != 0 {
		t.Errorf("without a driver: %+v", none)
	}
}

func TestARunSeesTheDevicesOfItsGPUs(t *testing.T) {
	machine := []string{"/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia10", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/kfd"}
	glob := func(pattern string) (out []string, err error) {
		for _, f := range machine {
			if ok, err := path.Match(pattern, f); err != nil {
				return nil, err
			} else if ok {
				out = append(out, f)
			}
		}
		return out, nil
	}
	got := Only([]GPU{{Minor: 1}}, []string{"/dev/nvidia*", "/dev/kfd", "/dev/none*", "[", "/dev/nvidia0"}, glob)
	if want := []string{"/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/kfd"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
