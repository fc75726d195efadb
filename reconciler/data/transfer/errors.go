// What a transfer ends with where objects are missing or corrupt: all of them, by name.

package transfer

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// MissingError says which objects are nowhere to be had. Its kind is Missing.
type MissingError struct {
	Where string
	OIDs  []dvc.OID
	Paths map[dvc.OID]string // of data that they are of; may be nil
}

func (l *MissingError) Error() string {
	names := make([]string, 0, len(l.OIDs))
	for _, o := range l.OIDs {
		if p := l.Paths[o]; p != "" {
			names = append(names, fmt.Sprintf("%s (%s)", o, p))
		} else {
			names = append(names, string(o))
		}
	}
	are := "are"
	if len(names) == 1 {
		are = "is"
	}
	return fmt.Sprintf("%s %s not in %s: %s", plural.Of(len(names), "object"), are, l.Where, strings.Join(names, ", "))
}

// CorruptError says that a remote has other bytes under an object's name. Its kind is Corrupt.
type CorruptError struct {
	Remote, Key string
	OID, Got    dvc.OID
	Path        string // of data that it is of; may be ""
}

func (s *CorruptError) Error() string {
	of := ""
	if s.Path != "" {
		of = " (" + s.Path + ")"
	}
	return fmt.Sprintf("remote %s has other bytes under %s%s: they are %s", s.Remote, s.Key, of, s.Got)
}

// Way is the way out.
func (s *CorruptError) Hint() string {
	return fmt.Sprintf("remove %s there, and push it from where it was added: what has the right size there is not sent again", s.Key)
}
