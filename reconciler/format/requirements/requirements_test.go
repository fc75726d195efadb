// What pip takes for a lock file, and what of one may stay where the installer holds a login.

package requirements

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestAnInstallerWithALoginBuildsNothing: pip builds each of the refused ones in spite of
// --only-binary :all:, or prints a variable.
func TestAnInstallerWithALoginBuildsNothing(t *testing.T) {
	hash := " --hash=sha256:" + strings.Repeat("a", 64)
	good := "# made by uv\n--index-url https://pypi.org/simple\nsix==1.16.0 \\\n   " + hash + " \\\n   " + hash + "\n    # via b\nb[c]==2 ; python_version < \"3.13\"" + hash + "\n"
	got, err := WheelsAlone([]byte(good))
	if want := "--index-url https://pypi.org/simple\nsix==1.16.0" + hash + hash + "\nb[c]==2 ; python_version < \"3.13\"" + hash + "\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for _, line := range []string{
		"evil @ https://files.pythonhosted.org/packages/evil-1.tar.gz" + hash, "https://files.pythonhosted.org/evil-1.tar.gz" + hash, "./evil.tar.gz" + hash,
		"--no-binary :all:", "--no-binary=:all:", "--no-bin :all:", "--only-binary :none:", "--pre --no-binary :all:", "--pre \"--no-binary\" :all:",
		"six==1" + hash + " --no-binary :all:", "six==1 ; python_version > '3' --no-binary :all:" + hash, "-e." + hash, "--edit . " + hash,
		"--find-links https://x.example.com/${PIP_INDEX_URL}", "--trusted-host ${PIP_INDEX_URL}", "--index-url $PIP", "six==${HOME}" + hash,
	} {
		if got, err := WheelsAlone([]byte(line)); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%q passes as %q, %v", line, got, err)
		}
	}
	for _, hidden := range []string{"# c\f--no-binary :all:", "# c\r--no-binary :all:", "# c\u2028--no-binary :all:", "# coding: utf-7\n# +AAo---no-binary :all:"} {
		if got, err := WheelsAlone([]byte(hidden)); len(got) > 0 || err != nil {
			t.Errorf("%q passes as %q, %v", hidden, got, err)
		}
	}
}

// TestALockIsWhatPipTakes: what pip --require-hashes refuses when it installs is found before.
func TestALockIsWhatPipTakes(t *testing.T) {
	hash := " --hash=sha256:" + strings.Repeat("a", 64)
	for _, line := range []string{
		"six==1.16.0" + hash, "six === 1.16.0" + hash, "b[c, d]==2 ; python_version < \"3.13\"" + hash, "six (==1.0)" + hash, "six==1+cpu" + hash + hash,
		"six @ https://files.example.com/six-1.0.whl" + hash, "./six-1.0-py3-none-any.whl" + hash, "six-1.0-py3-none-any.whl" + hash, "six==1 --hash sha512:" + strings.Repeat("B", 128),
		"six==1 --no-binary six" + hash,
	} {
		if n, err := Check([]byte("# made\n" + line + "\n")); err != nil {
			t.Errorf("%q is refused at line %d: %v", line, n, err)
		}
	}
	for line, want := range map[string]string{
		"six==1.16.0 --hash=md5:" + strings.Repeat("a", 32): "no whole sha256", "six==1 --hash=sha256:abc": "no whole sha256", "six==1" + hash + " --hash=sha1:" + strings.Repeat("a", 40): "sha1",
		"six>=1.16" + hash: "one version", "six" + hash: "one version", "six==1.*" + hash: "one version", "six==1,!=2" + hash: "one version", "six~=1.0" + hash: "one version", "six==1 --hash=" + hash: "no whole sha256",
	} {
		if n, err := Check([]byte("# made\n" + line + "\n")); fault.Of(err) != fault.Invalid || n != 2 || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
			t.Errorf("%q: line %d, %v", line, n, err)
		}
	}
}

func FuzzRequirements(f *testing.F) {
	f.Add("a==1 \\\n --hash=sha256:00 # c\n-r x")
	f.Add("\\\n\\")
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = Check([]byte(s))
	})
}
