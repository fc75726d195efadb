package beside

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Server is a server that all sides ask. On one machine it takes from the same processors as they do, so no side is done before it is.
type Server struct{ pids []string }

// Serving are the processes that listen at an address of this machine, such as http://127.0.0.1:9000.
func Serving(address string) Server {
	_, port, _ := net.SplitHostPort(address[strings.Index(address, "://")+len("://"):])
	n, _ := strconv.ParseUint(port, 10, 16)
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, _ := os.ReadFile(table)
		for line := range strings.Lines(string(raw)) {
			f := strings.Fields(line) // sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], ":"+strings.ToUpper(strconv.FormatUint(0x10000+n, 16)[1:])) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	var s Server
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil && sockets[to] {
			s.pids = append(s.pids, strings.Split(fd, "/")[2])
		}
	}
	s.pids = slices.Compact(s.pids)
	return s
}

// spent is the processor time that its processes have taken so far, user and system; 0 where there is no /proc.
func (s Server) spent() (all time.Duration) {
	for _, pid := range s.pids {
		raw, _ := os.ReadFile("/proc/" + pid + "/stat")
		_, after, _ := strings.Cut(string(raw), ") ")
		f := strings.Fields(after)
		for _, at := range []int{11, 12} { // utime and stime, in hundredths of a second
			if at < len(f) {
				n, _ := strconv.ParseInt(f[at], 10, 64)
				all += time.Duration(n) * 10 * time.Millisecond
			}
		}
	}
	return all
}
