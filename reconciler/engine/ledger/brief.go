// A brief is a signed note in one line of at most 140 characters, for places that have
// room for no more: what the reader knows by itself, the origin and the key, is left out.

package ledger

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// maxBrief is what a commit status of GitHub takes, in characters.
const maxBrief = 140

// Brief is a note without commit and time, signed by an Ed25519 key, in one line.
func Brief(raw []byte) (string, error) {
	n, sigs, err := parseNote(raw)
	if err != nil {
		return "", err
	}
	sum, _ := hex.DecodeString(n.Head.Hex())
	text := fmt.Sprintf("%d %s %s", n.Count, base64.RawStdEncoding.EncodeToString(sum), base64.RawStdEncoding.EncodeToString(sigs[0].sig))
	if n.Commit != "" || !n.Time.IsZero() || len(sigs[0].sig) != ed25519.SignatureSize || len(text) > maxBrief {
		return "", fault.WithHint(fault.New(fault.Invalid, "a checkpoint by a key that is not Ed25519 does not fit there"), "use the key that vishwa keys generate makes for the ledger's commits")
	}
	return text, nil
}

// Unbrief is the notes that text may be a brief of, one a key; none where it is no brief.
func Unbrief(text, origin string, keys map[string][]ssh.PublicKey) (out [][]byte) {
	parts := strings.Split(text, " ")
	if len(text) > maxBrief || len(parts) != 3 {
		return nil
	}
	count, err := strconv.ParseInt(parts[0], 10, 64)
	sum, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[1])
	sig, err3 := base64.RawStdEncoding.Strict().DecodeString(parts[2])
	if err != nil || err2 != nil || err3 != nil || len(sum) != 32 || len(sig) != ed25519.SignatureSize {
		return nil
	}
	n := Notice{Origin: origin, Checkpoint: Checkpoint{count, digest.FromSum(sum)}}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		for _, k := range keys[name] {
			if _, ok := edwards(k); ok {
				out = append(out, n.signed(name, noteKey(name, k), sig))
			}
		}
	}
	return out
}

func (n Notice) signed(name string, id [4]byte, sig []byte) []byte {
	return []byte(n.Text() + "\n" + noteMark + name + " " + base64.StdEncoding.EncodeToString(append(id[:], sig...)) + "\n")
}
