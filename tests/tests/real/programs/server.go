// server WHO tcp|udp ADDRESS…   serves as WHO, having asked itself at these addresses
// server - client ADDRESS…      asks others
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

const reusePort = 15

var who = os.Args[1]

func bare(address net.Addr) string {
	host, _, _ := net.SplitHostPort(address.String())
	return host
}

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// How a connection went, from both ends.
func ask(network, host, local string) string {
	dialer := net.Dialer{}
	if local != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	conn, err := dialer.Dial(network, net.JoinHostPort(host, "8082"))
	if err != nil {
		return fmt.Sprint(host, ": ", err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "?")
	answer, _ := io.ReadAll(conn)
	return fmt.Sprintf("%s to %s: %s", bare(conn.LocalAddr()), bare(conn.RemoteAddr()), answer)
}

func plain(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		must(err)
		go func() {
			defer conn.Close()
			conn.Read(make([]byte, 4096))
			fmt.Fprintf(conn, "%s. %s %s", who, bare(conn.RemoteAddr()), bare(conn.LocalAddr()))
		}()
	}
}

func listen(network, address string, shared bool) net.Listener {
	config := net.ListenConfig{}
	if shared {
		config.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				must(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1))
			})
		}
	}
	listener, err := config.Listen(context.Background(), network, address)
	must(err)
	fmt.Println("listening", network, listener.Addr())
	return listener
}

func tcp(foreign string, addresses []string) {
	web := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		remote, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%s. %s %s", who, remote, bare(local))
	})
	go http.Serve(listen("tcp", ":8080", false), web)
	go http.Serve(listen("tcp", "127.0.0.1:8081", false), web)
	go http.Serve(listen("tcp", "[::1]:8081", false), web)
	go plain(listen("tcp4", ":8082", false))
	go plain(listen("tcp6", ":8082", false))
	go plain(listen("tcp", ":8083", true))
	go plain(listen("tcp", ":8083", true))
	_, err := net.Listen("tcp", foreign+":8084")
	fmt.Println("foreign", err)
	for _, host := range append([]string{"127.0.0.1", "::1", "localhost", "0.0.0.0", "::"}, addresses...) {
		fmt.Println("asked", host, ask("tcp", host, ""))
	}
	for _, local := range addresses {
		for _, host := range addresses {
			if strings.Contains(host, ":") == strings.Contains(local, ":") {
				fmt.Println("asked from", ask("tcp", host, local))
			}
		}
	}
	fmt.Println("asked from another", ask("tcp", "10.0.0.100", foreign))
}

func answer(network, address string) {
	socket, err := net.ListenPacket(network, address)
	must(err)
	fmt.Println("bound", network, socket.LocalAddr())
	buffer := make([]byte, 2048)
	for {
		_, from, err := socket.ReadFrom(buffer)
		if err != nil {
			continue
		}
		socket.WriteTo([]byte(fmt.Sprintf("%s. %s", who, bare(from))), from)
	}
}

func udp(addresses []string) {
	go answer("udp4", ":5300")
	go answer("udp6", ":5300")
	done := make(chan bool)
	go func() {
		socket, err := net.ListenPacket("udp", ":5301")
		must(err)
		done <- true
		buffer := make([]byte, 2048)
		for {
			_, from, err := socket.ReadFrom(buffer)
			if err != nil {
				continue
			}
			socket.WriteTo([]byte(fmt.Sprintf("%s. %s", who, bare(from))), from)
		}
	}()
	<-done
	for _, address := range append([]string{"127.0.0.1", "::1"}, addresses...) {
		conn, err := net.Dial("udp", net.JoinHostPort(address, "5301"))
		must(err)
		fmt.Fprint(conn, "?")
		buffer := make([]byte, 2048)
		n, err := conn.Read(buffer)
		fmt.Println("asked", bare(conn.LocalAddr()), bare(conn.RemoteAddr()), string(buffer[:n]), err)
		conn.Close()
		// The standard library's own way to be unconnected: bound to the wildcard.
		socket, err := net.ListenPacket("udp", ":0")
		must(err)
		to, _ := net.ResolveUDPAddr("udp", net.JoinHostPort(address, "5301"))
		socket.WriteTo([]byte("?"), to)
		n, from, err := socket.ReadFrom(buffer)
		must(err)
		fmt.Println("asked unconnected", bare(from), string(buffer[:n]))
		socket.Close()
	}
}

func main() {
	mode, addresses := os.Args[2], os.Args[3:]
	foreign := "10.0.0.1"
	if who == "who-host" {
		foreign = "10.0.0.77"
	}
	switch mode {
	case "client":
		for _, host := range addresses {
			fmt.Println(ask("tcp", host, ""))
		}
		return
	case "tcp":
		tcp(foreign, addresses)
	default:
		udp(addresses)
	}
	fmt.Println("ready")
	select {}
}
