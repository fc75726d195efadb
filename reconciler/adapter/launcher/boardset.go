// What the board is told. Each is called with its lock held.

package launcher

import (
	"slices"

	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
)

func (b *board) setUnits(all []status.Unit) {
	clear(b.units)
	for _, u := range all {
		b.units[u.Name] = leanUnit(u)
	}
	for name := range b.past {
		if _, there := b.units[name]; !there {
			delete(b.past, name)
		}
	}
	b.wakeAll()
}

func (b *board) setUnit(u status.Unit, gone bool) {
	if gone {
		delete(b.units, u.Name)
		delete(b.past, u.Name)
		delete(b.refused, b.c.kind.events(u.Name))
	} else {
		b.units[u.Name] = leanUnit(u)
	}
	b.changed(u.Name)
}

func (b *board) setPods(all []status.Pod) {
	was := b.pods
	b.pods = map[string]map[string]status.Pod{}
	for _, p := range all {
		b.keepPod(p)
	}
	for name, pods := range was { // whose end was missed
		for uid, p := range pods {
			if _, still := b.pods[name][uid]; !still {
				b.keepPast(name, p)
			}
		}
	}
	b.wakeAll()
}

func (b *board) setPod(p status.Pod, gone bool) {
	name := p.Labels[taskLabel]
	if gone {
		delete(b.pods[name], p.UID)
		if len(b.pods[name]) == 0 {
			delete(b.pods, name)
		}
		b.keepPast(name, leanPod(p))
	} else {
		b.keepPod(p)
	}
	b.changed(name)
}

// maxPast bounds the pods that are remembered of a task which its owner takes back over and over.
const maxPast = 1024

// keepPast keeps a pod that is gone, for as long as its unit is there: how it ended is told by nothing else.
func (b *board) keepPast(name string, p status.Pod) {
	if _, there := b.units[name]; !there {
		return
	}
	past := slices.DeleteFunc(b.past[name], func(was status.Pod) bool { return was.UID == p.UID }) // what is known of its end may come later
	past = append(past, p)
	b.past[name] = past[max(0, len(past)-maxPast):]
}

func (b *board) keepPod(p status.Pod) {
	name := p.Labels[taskLabel]
	if b.pods[name] == nil {
		b.pods[name] = map[string]status.Pod{}
	}
	b.pods[name][p.UID] = leanPod(p)
}

func (b *board) setEvents(all []status.Event) {
	clear(b.refused)
	for _, e := range all {
		b.keepEvent(e)
	}
	b.wakeAll()
}

func (b *board) setEvent(e status.Event, gone bool) {
	if gone {
		return // an event is forgotten after an hour, and what it said may still hold
	}
	b.keepEvent(e)
	b.wakeEvent(e.Of.Name)
}

func (b *board) keepEvent(e status.Event) {
	if !e.Last.Before(b.refused[e.Of.Name].Last) {
		b.refused[e.Of.Name] = status.Event{Message: e.Message, Last: e.Last}
	}
}

// wakeEvent wakes whoever awaits the task whose event it is.
func (b *board) wakeEvent(of string) {
	for name := range b.wakes {
		if b.c.kind.events(name) == of {
			b.changed(name)
			return
		}
	}
}

func (b *board) setLoads(all []status.Workload) {
	clear(b.loads)
	for _, w := range all {
		b.keepLoad(w)
	}
	b.wakeAll()
}

func (b *board) setLoad(w status.Workload, gone bool) {
	for _, o := range w.Owners {
		if gone {
			delete(b.loads, o.UID)
		}
	}
	if !gone {
		b.keepLoad(w)
	}
	for _, u := range b.units {
		for _, o := range w.Owners {
			if u.UID == o.UID {
				b.changed(u.Name)
			}
		}
	}
}

func (b *board) keepLoad(w status.Workload) {
	w.Labels, w.Annotations = nil, nil
	for _, o := range w.Owners {
		b.loads[o.UID] = w
	}
}

// lean is what is kept of an object: of its labels and notes, those that are read.
func leanUnit(u status.Unit) status.Unit {
	u.Labels, u.Annotations = nil, map[string]string{status.Begun: u.Annotations[status.Begun]}
	return u
}

func leanPod(p status.Pod) status.Pod {
	p.Labels, p.Annotations = map[string]string{controllerUID: p.Labels[controllerUID]}, nil
	return p
}
