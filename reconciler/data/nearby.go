// The folder of the file that is at hand stays open for those that follow in it: they are named from there.

package data

import (
	"os"
	"path"

	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// nearby is one worker's.
type nearby struct {
	open func(folder string) (*os.File, error)
	at   string // the folder that is open
	dir  *os.File
}

// spot is where the file at p is.
func (n *nearby) spot(p string) (dvccache.Spot, error) {
	folder, name := path.Split(p)
	if n.dir == nil || folder != n.at {
		dir, err := n.open(folder)
		if err != nil {
			return dvccache.Spot{}, err
		}
		n.close()
		n.dir, n.at = dir, folder
	}
	return dvccache.Spot{In: n.dir, Name: name}, nil
}

func (n *nearby) close() {
	if n.dir != nil {
		n.dir.Close()
	}
}
