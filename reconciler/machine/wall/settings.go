// A policy as people write it: in the environment for one's own commands, and field by
// field in a controller's file.

package wall

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Variables that say how one's own commands are kept apart.
const (
	LevelVariable   = "VISHWA_ISOLATION"
	ReadVariable    = "VISHWA_ISOLATION_READ"    // paths, separated as in PATH
	WriteVariable   = "VISHWA_ISOLATION_WRITE"   // paths
	DevicesVariable = "VISHWA_ISOLATION_DEVICES" // patterns
	IndexVariable   = "VISHWA_ISOLATION_INDEX"   // hosts with ports, separated by commas
	LimitsVariable  = "VISHWA_ISOLATION_LIMITS"  // memory=8Gi,disk=50Gi,processes=2000
)

// FromEnvironment is the policy that variables state.
func FromEnvironment(lookup func(string) (string, bool)) (p Policy, err error) {
	get := func(name string) string { v, _ := lookup(name); return v }
	defer func() {
		if err != nil {
			err = fault.WithHint(fault.New(fault.Invalid, "read %s*: %w", LevelVariable, err), "correct the variable, or unset it")
		}
	}()
	if p.Level, err = ParseLevel(get(LevelVariable)); err != nil {
		return p, err
	}
	for _, list := range []struct {
		to       *[]string
		variable string
	}{{&p.Read, ReadVariable}, {&p.Write, WriteVariable}, {&p.Devices, DevicesVariable}} {
		*list.to = append(*list.to, filepath.SplitList(get(list.variable))...)
	}
	p.Index = words(get(IndexVariable))
	for _, w := range words(get(LimitsVariable)) {
		name, value, _ := strings.Cut(w, "=")
		if err := p.Limits.Set(name, value); err != nil {
			return p, err
		}
	}
	return p, p.Check()
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// Set sets one limit by its name.
func (l *Limits) Set(name, value string) error {
	switch name {
	case "memory", "disk", "fileSize":
		n, err := ParseSize(value)
		if err != nil {
			return fault.New(fault.Invalid, "%s: %w", name, err)
		}
		*map[string]*int64{"memory": &l.Memory, "disk": &l.Disk, "fileSize": &l.FileSize}[name] = n
	case "processes", "openFiles":
		n, err := strconv.Atoi(value)
		if err != nil || n < 16 {
			return fault.New(fault.Invalid, "%s: %q is not a number from 16", name, value)
		}
		*map[string]*int{"processes": &l.Processes, "openFiles": &l.OpenFiles}[name] = n
	case "cpus":
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || n < 0.01 || n > 4096 {
			return fault.New(fault.Invalid, "cpus: %q is not a number of cores, such as 2 or 0.5", value)
		}
		l.CPUs = n
	default:
		return fault.New(fault.Invalid, "%q is not a limit: memory, disk, fileSize, processes, openFiles and cpus are", name)
	}
	return nil
}

// ParseSize reads an amount of memory or disk: 512Mi, 16Gi, 16GiB, 2G, or bytes.
func ParseSize(s string) (int64, error) {
	number := strings.TrimRight(s, "KMGTiB")
	n, err := strconv.ParseFloat(number, 64)
	switch unit := strings.TrimSuffix(s[len(number):], "B"); {
	case unit == "":
	case len(unit) == 1 && unit != "i":
		n *= math.Pow(1000, float64(strings.IndexByte("KMGT", unit[0])+1))
	case len(unit) == 2 && unit[1] == 'i' && unit[0] != 'i':
		n *= math.Pow(1024, float64(strings.IndexByte("KMGT", unit[0])+1))
	default:
		err = strconv.ErrSyntax
	}
	if err != nil || !(n >= 1 && n <= 1<<60) {
		return 0, fault.New(fault.Invalid, "%q is not an amount, such as 512Mi or 16Gi", s)
	}
	return int64(n), nil
}

// Check refuses paths that are none. Cleaned ones are kept.
func (p *Policy) Check() error {
	for _, list := range [][]string{p.Read, p.Write, p.Devices} {
		for i, path := range list {
			if !filepath.IsAbs(path) {
				return fault.New(fault.Invalid, "%q is not an absolute path", path)
			}
			list[i] = filepath.Clean(path)
		}
	}
	for _, d := range p.Devices {
		if !Within(d, "/dev") || d == "/dev" {
			return fault.New(fault.Invalid, "%q is not a device below /dev", d)
		}
	}
	for _, h := range p.Index {
		if !Reaches([]string{h}, h) {
			return fault.New(fault.Invalid, "%q is not a host with its port, such as pypi.example.com:443", h)
		}
	}
	return nil
}
