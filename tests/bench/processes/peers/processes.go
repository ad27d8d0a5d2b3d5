// The programs of this folder's parent for Go: processes NAME ARGUMENTS... Each prints lines
// "NAME NANOSECONDS OPERATIONS", three times where that is quick. Channels are unbuffered.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const rounds = 3

func report(name string, value, operations int64) { fmt.Println(name, value, operations) }

func timed(name string, operations int, run func()) {
	runtime.GC()
	begin := time.Now()
	run()
	report(name, time.Since(begin).Nanoseconds(), int64(operations))
}

func check(right bool) {
	if !right {
		panic("wrong result")
	}
}

// Prints "at 0 number", and waits until there is a line in standard input, or its end.
func pause(in *bufio.Reader, number int64) {
	report("at", 0, number)
	in.ReadString('\n')
}

// Batches of 1,000 goroutines that do nothing but tell that they have run.
func spawn(batches int) {
	timed("spawn", batches*1000, func() {
		var wait sync.WaitGroup
		for i := 0; i < batches; i++ {
			wait.Add(1000)
			for j := 0; j < 1000; j++ {
				go func() { wait.Done() }()
			}
			wait.Wait()
		}
	})
}

func yield(count, times int) {
	begin := make(chan bool)
	var wait sync.WaitGroup
	wait.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			<-begin
			for j := 0; j < times; j++ {
				runtime.Gosched()
			}
			wait.Done()
		}()
	}
	timed("yield", count*times, func() { close(begin); wait.Wait() })
}

func pingPong(bytes, times int) {
	if bytes > 8 {
		pingPongCopied(bytes, times)
		return
	}
	to, from := make(chan int), make(chan int)
	go func() {
		for v := range to {
			from <- v + 1
		}
	}()
	for round := 0; round < rounds; round++ {
		timed("ping_pong", times, func() {
			v := 0
			for i := 0; i < times; i++ {
				to <- v
				v = <-from + 1
			}
			check(v == 2*times)
		})
	}
}

// Each message is a copy of its own.
func pingPongCopied(bytes, times int) {
	to, from := make(chan []byte), make(chan []byte)
	go func() {
		for v := range to {
			from <- append([]byte(nil), v...)
		}
	}()
	for round := 0; round < rounds; round++ {
		message := make([]byte, bytes)
		timed("ping_pong", times, func() {
			for i := 0; i < times; i++ {
				to <- append([]byte(nil), message...)
				message = <-from
			}
		})
	}
}

func ring(count, laps int) {
	first := make(chan int)
	last := first
	for i := 1; i < count; i++ {
		next := make(chan int)
		go func(in, out chan int) {
			for v := range in {
				out <- v + 1
			}
		}(last, next)
		last = next
	}
	run := func(laps int) int {
		v := 0
		for i := 0; i < laps; i++ {
			first <- v + 1
			v = <-last
		}
		return v
	}
	run(2)
	for round := 0; round < rounds; round++ {
		timed("ring", count*laps, func() { check(run(laps) == count*laps) })
	}
}

func fanIn(senders, count int) {
	to := make(chan int)
	begin := make(chan bool)
	for i := 0; i < senders; i++ {
		go func() {
			<-begin
			for j := 0; j < count; j++ {
				to <- j
			}
		}()
	}
	timed("fan_in", senders*count, func() {
		close(begin)
		for i := 0; i < senders*count; i++ {
			<-to
		}
	})
}

func million(count int) {
	in := bufio.NewReader(os.Stdin)
	channels := make([]chan int, count)
	answers := make(chan int)
	var waiting int64
	runtime.GC()
	debug.FreeOSMemory()
	pause(in, 0)
	begin := time.Now()
	for i := range channels {
		question := make(chan int)
		channels[i] = question
		go func() {
			atomic.AddInt64(&waiting, 1)
			answers <- <-question + 1
		}()
	}
	for atomic.LoadInt64(&waiting) < int64(count) {
		runtime.Gosched()
	}
	report("create", time.Since(begin).Nanoseconds(), int64(count))
	pause(in, 1)
	begin = time.Now()
	for i, question := range channels {
		question <- i
	}
	sum := 0
	for range channels {
		sum += <-answers
	}
	check(sum == count*(count+1)/2)
	report("answer", time.Since(begin).Nanoseconds(), int64(count))
	pause(in, 2)
}

func pairs(count, times int) {
	begin := make(chan bool)
	var wait sync.WaitGroup
	wait.Add(count)
	for i := 0; i < count; i++ {
		to, from := make(chan int), make(chan int)
		go func() {
			for v := range to {
				from <- v + 1
			}
		}()
		go func() {
			<-begin
			for j := 0; j < times; j++ {
				to <- j
				<-from
			}
			close(to)
			wait.Done()
		}()
	}
	timed("pairs", count*times, func() { close(begin); wait.Wait() })
}

var sink uint64

func hog() {
	for x := uint64(1); ; {
		for i := 0; i < 100000; i++ {
			x = x*6364136223846793005 + 1
		}
		atomic.StoreUint64(&sink, x)
	}
}

func sleepers(seconds, count, hogs int) {
	const classes = 2000000
	counts := make([]int64, classes)
	for i := 0; i < hogs; i++ {
		go hog()
	}
	time.Sleep(200 * time.Millisecond)
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	var wait sync.WaitGroup
	wait.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			for before := time.Now(); before.Before(end); before = time.Now() {
				time.Sleep(10 * time.Millisecond)
				late := int((time.Since(before) - 10*time.Millisecond) / time.Microsecond)
				if late < 0 {
					late = 0
				} else if late >= classes {
					late = classes - 1
				}
				atomic.AddInt64(&counts[late], 1)
			}
			wait.Done()
		}()
	}
	wait.Wait()
	var total int64
	for _, n := range counts {
		total += n
	}
	quantile := func(least int64) int64 {
		var sum int64
		for late, n := range counts {
			if sum += n; sum >= least {
				return int64(late) * 1000
			}
		}
		return classes * 1000
	}
	report("samples", total, 1)
	report("p50", quantile((total+1)/2), 1)
	report("p99", quantile(total-total/100), 1)
	report("p99.9", quantile(total-total/1000), 1)
	report("max", quantile(total), 1)
}

func main() {
	var n []int
	for _, argument := range os.Args[2:] {
		number, err := strconv.Atoi(argument)
		check(err == nil)
		n = append(n, number)
	}
	repeat := func(run func()) {
		for round := 0; round < rounds; round++ {
			run()
		}
	}
	switch os.Args[1] {
	case "spawn":
		repeat(func() { spawn(n[0]) })
	case "yield":
		repeat(func() { yield(n[0], n[1]) })
	case "ping_pong":
		pingPong(n[0], n[1])
	case "ring":
		ring(n[0], n[1])
	case "fan_in":
		repeat(func() { fanIn(n[0], n[1]) })
	case "million":
		million(n[0])
	case "pairs":
		repeat(func() { pairs(n[0], n[1]) })
	case "sleepers":
		sleepers(n[0], n[1], n[2])
	default:
		panic("no such program")
	}
	os.Exit(0)
}
