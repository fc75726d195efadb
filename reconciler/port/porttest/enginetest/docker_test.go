// Docker does by its API what a runner will ask of it.

package enginetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask speaks with the engine and reads what it says.
func (d *DockerEngine) ask(t *testing.T, method, path string, body any) []byte {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://docker/v1.41"+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	c := d.Client()
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %v\n%s", method, path, resp.Status, err, out)
	}
	return out
}

// pull fetches an image as the engine itself does.
func (d *DockerEngine) pull(t *testing.T, ref string) {
	t.Helper()
	if out := d.ask(t, http.MethodPost, "/images/create?fromImage="+ref, nil); bytes.Contains(out, []byte(`"error"`)) {
		t.Fatalf("pull %s: %s", ref, out)
	}
}

// result runs a container to its end and gives its exit status and what it said.
func (d *DockerEngine) result(t *testing.T, config map[string]any) (status int, said string) {
	t.Helper()
	config["Tty"] = true // so that the log is plain text
	var made struct{ ID string }
	unmarshal(t, d.ask(t, http.MethodPost, "/containers/create", config), &made)
	d.ask(t, http.MethodPost, "/containers/"+made.ID+"/start", nil)
	var ended struct{ StatusCode int }
	unmarshal(t, d.ask(t, http.MethodPost, "/containers/"+made.ID+"/wait", nil), &ended)
	said = string(d.ask(t, http.MethodGet, "/containers/"+made.ID+"/logs?stdout=1&stderr=1", nil))
	d.ask(t, http.MethodDelete, "/containers/"+made.ID, nil)
	return ended.StatusCode, said
}

func unmarshal(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
}

func TestDockerRunsAnImageByDigestWithinItsLimits(t *testing.T) {
	d, image := Docker(t), Python(t)
	d.pull(t, image)
	in := t.TempDir()
	if err := os.WriteFile(filepath.Join(in, "x.csv"), []byte("1,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code := `
import os
print("input:", open("/in/x.csv").read().strip())
for at in "/in/x.csv", "/new":
    try: open(at, "w"); print("wrote", at)
    except OSError as e: print(at, e.strerror)
print("user:", os.getuid(), "capabilities:", [l.split()[1] for l in open("/proc/self/status") if l.startswith(("CapEff", "NoNewPrivs"))])
for at in "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max":
    if os.path.exists(at): print("memory:", open(at).read().strip())
print("network:", sorted(os.listdir("/sys/class/net")))
`
	status, said := d.result(t, map[string]any{"Image": image, "Cmd": []string{"python3", "-c", code}, "User": "1000:1000", "HostConfig": map[string]any{
		"Memory": 256 << 20, "NanoCpus": 500_000_000, "PidsLimit": 64, "ReadonlyRootfs": true, "CapDrop": []string{"ALL"},
		"SecurityOpt": []string{"no-new-privileges"}, "NetworkMode": "none", "Binds": []string{in + ":/in:ro"}}})
	for _, want := range []string{"input: 1,2", "/in/x.csv Read-only file system", "/new Read-only file system", "user: 1000 capabilities: ['0000000000000000', '1']",
		"memory: 268435456", "network: ['lo']"} {
		if !strings.Contains(said, want) {
			t.Errorf("the container did not say %q", want)
		}
	}
	if status != 0 || t.Failed() {
		t.Fatalf("status %d:\n%s", status, said)
	}
	var kept struct{ RepoDigests []string }
	unmarshal(t, d.ask(t, http.MethodGet, "/images/"+image+"/json", nil), &kept)
	if len(kept.RepoDigests) != 1 || kept.RepoDigests[0] != image {
		t.Errorf("the engine knows the image as %v, not as %s", kept.RepoDigests, image)
	}
}

func TestDockerEndsWhatTakesMoreMemoryThanItsLimit(t *testing.T) {
	d, image := Docker(t), Python(t)
	d.pull(t, image)
	status, said := d.result(t, map[string]any{"Image": image, "Cmd": []string{"python3", "-c", "x = bytearray(200 << 20)"},
		"HostConfig": map[string]any{"Memory": 64 << 20, "MemorySwap": 64 << 20, "NetworkMode": "none"}})
	if status != 137 {
		t.Errorf("status %d, not 137: %s", status, said)
	}
}

func TestDockerReachesAStoreOfTheTestFromEachNetwork(t *testing.T) {
	d, image, b := Docker(t), Python(t), newBucket(t)
	d.pull(t, image)
	for _, network := range []string{"bridge", "host"} {
		status, said := d.result(t, map[string]any{"Image": image, "Cmd": []string{"python3", "-c", putCode, b.mayPut(t, network)},
			"HostConfig": map[string]any{"NetworkMode": network}})
		if status != 0 {
			t.Errorf("on the network %s: status %d:\n%s", network, status, said)
		}
		if got := b.get(t, network); got != "kept" {
			t.Errorf("on the network %s the container wrote %q", network, got)
		}
	}
}

func TestDockerGoesOnAfterACrash(t *testing.T) {
	d, image := Docker(t), Python(t)
	d.pull(t, image)
	var made struct{ ID string }
	unmarshal(t, d.ask(t, http.MethodPost, "/containers/create", map[string]any{"Image": image, "Cmd": []string{"sleep", "600"}}), &made)
	d.ask(t, http.MethodPost, "/containers/"+made.ID+"/start", nil)
	d.Crash()
	d.Restart(t)
	var after struct {
		State struct {
			Running  bool
			ExitCode int
		}
	}
	unmarshal(t, d.ask(t, http.MethodGet, "/containers/"+made.ID+"/json", nil), &after)
	if after.State.Running || after.State.ExitCode != 137 {
		t.Errorf("after a crash a container is %+v", after.State)
	}
	d.ask(t, http.MethodDelete, "/containers/"+made.ID, nil)
	if status, said := d.result(t, map[string]any{"Image": image, "Cmd": []string{"python3", "-c", "print('again')"}}); status != 0 || !strings.Contains(said, "again") {
		t.Errorf("status %d:\n%s", status, said)
	}
}

// helperEnv has a test begin an engine and stay, for the next one to kill.
const helperEnv = "VISHWA_ENGINETEST_STAY"

func TestDockerIsKeptForAnotherTest(t *testing.T) {
	if os.Getenv(helperEnv) == "" {
		t.Skip("begun by TestDockerEndsWithItsTestHoweverThatEnds")
	}
	d, image := Docker(t), Python(t)
	d.pull(t, image)
	var made struct{ ID string }
	unmarshal(t, d.ask(t, http.MethodPost, "/containers/create", map[string]any{"Image": image, "Cmd": []string{"sleep", "600"}}), &made)
	d.ask(t, http.MethodPost, "/containers/"+made.ID+"/start", nil)
	fmt.Println("node:", d.node.dir)
	<-t.Context().Done()
}

func TestDockerEndsWithItsTestHoweverThatEnds(t *testing.T) {
	Docker(t) // or why there is none
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^TestDockerIsKeptForAnotherTest$")
	cmd.Env = append(os.Environ(), helperEnv+"=1")
	cmd.Stderr = os.Stderr
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := ""
	var heard []string
	for lines := bufio.NewScanner(said); dir == "" && lines.Scan(); {
		heard = append(heard, lines.Text())
		if at, ok := strings.CutPrefix(lines.Text(), "node: "); ok {
			dir = at
		}
	}
	if dir == "" {
		t.Fatalf("the other test has no engine: %q", heard)
	}
	before := processes(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if len(before) < 3 {
		t.Fatalf("the engine's daemons and a container were to run, and not only %q", before)
	}
	// The kernel takes a moment over it.
	deadline := time.Now().Add(10 * time.Second)
	for len(processes(t, dir)) > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if after := processes(t, dir); len(after) > 0 {
		t.Errorf("still there: %q", after)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(dir)) {
		t.Errorf("mounts below %s are left (%v)", dir, err)
	}
	if err := sweep("vishwa-docker-"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is left", dir)
	}
	if groups, err := filepath.Glob(fmt.Sprintf("%s/*/vishwa-docker-%d", hierarchies, cmd.Process.Pid)); err != nil || len(groups) > 0 {
		t.Errorf("control groups are left: %q (%v)", groups, err)
	}
}

// processes lists the commands that name a folder.
func processes(t *testing.T, dir string) (out []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*") // with a name behind it, Glob would list what is in each
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if raw, _ := os.ReadFile(filepath.Join(p, "cmdline")); bytes.Contains(raw, []byte(dir)) {
			out = append(out, string(bytes.ReplaceAll(raw, []byte{0}, []byte(" "))))
		}
	}
	return out
}
