// java Server WHO tcp|udp ADDRESS…   serves as WHO, having asked itself at these addresses
// java Server - client ADDRESS…      asks others
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.*;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.util.Arrays;

public class Server {
    static String who;

    static String bare(SocketAddress address) {
        String text = ((InetSocketAddress) address).getAddress().getHostAddress();
        return text.replaceFirst("%.*", "");
    }

    static void say(String text) {
        System.out.println(text);
        System.out.flush();
    }

    interface Work {
        void run() throws Exception;
    }

    static void start(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception error) {
                error.printStackTrace();
                System.exit(1);
            }
        });
        thread.setDaemon(false);
        thread.start();
    }

    // How a connection went, from both ends.
    static String ask(String host, String local) {
        try (Socket socket = new Socket()) {
            if (local != null) {
                socket.bind(new InetSocketAddress(local, 0));
            }
            socket.connect(new InetSocketAddress(host, 8082));
            socket.getOutputStream().write('?');
            String answer = new String(socket.getInputStream().readAllBytes());
            String ends = bare(socket.getLocalSocketAddress()) + " to " + bare(socket.getRemoteSocketAddress());
            return ends + ": " + answer;
        } catch (IOException error) {
            return host + ": " + error;
        }
    }

    static void web(HttpExchange exchange) throws IOException {
        String text = who + ". " + bare(exchange.getRemoteAddress()) + " " + bare(exchange.getLocalAddress());
        exchange.sendResponseHeaders(200, text.length());
        exchange.getResponseBody().write(text.getBytes());
        exchange.close();
    }

    static void web(InetSocketAddress address) throws IOException {
        HttpServer server = HttpServer.create(address, 0);
        server.createContext("/", Server::web);
        server.start();
        say("listening " + server.getAddress());
    }

    static void plain(ServerSocket listener) throws IOException {
        say("listening " + listener.getLocalSocketAddress());
        start(() -> {
            while (true) {
                Socket socket = listener.accept();
                start(() -> {
                    socket.getInputStream().read(new byte[4096]);
                    String ends = bare(socket.getRemoteSocketAddress()) + " " + bare(socket.getLocalSocketAddress());
                    socket.getOutputStream().write((who + ". " + ends).getBytes());
                    socket.close();
                });
            }
        });
    }

    // Two listeners share the port, waited for with a selector.
    static void shared() throws IOException {
        Selector selector = Selector.open();
        for (int n = 0; n < 2; n++) {
            ServerSocketChannel channel = ServerSocketChannel.open();
            channel.setOption(StandardSocketOptions.SO_REUSEPORT, true);
            channel.bind(new InetSocketAddress(8083));
            channel.configureBlocking(false);
            channel.register(selector, SelectionKey.OP_ACCEPT);
            say("listening " + channel.getLocalAddress());
        }
        start(() -> {
            while (true) {
                selector.select(key -> {
                    try (SocketChannel one = ((ServerSocketChannel) key.channel()).accept()) {
                        if (one == null) {
                            return;
                        }
                        one.read(ByteBuffer.allocate(4096));
                        one.write(ByteBuffer.wrap((who + ".").getBytes()));
                    } catch (IOException error) {
                        say("shared: " + error);
                    }
                });
            }
        });
    }

    static void tcp(String foreign, String[] addresses) throws Exception {
        web(new InetSocketAddress(8080));
        web(new InetSocketAddress("127.0.0.1", 8081));
        web(new InetSocketAddress("::1", 8081));
        plain(new ServerSocket(8082));
        shared();
        try {
            plain(new ServerSocket(8084, 5, InetAddress.getByName(foreign)));
        } catch (IOException error) {
            say("foreign " + error);
        }
        for (String host : new String[] {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::"}) {
            say("asked " + host + " " + ask(host, null));
        }
        for (String host : addresses) {
            say("asked " + ask(host, null));
            say("asked from it " + ask(host, host));
        }
        say("asked from another " + ask("10.0.0.100", foreign));
        HttpClient client = HttpClient.newHttpClient();
        for (String host : new String[] {"127.0.0.1", "[::1]", "localhost"}) {
            HttpRequest request = HttpRequest.newBuilder(URI.create("http://" + host + ":8081/")).build();
            say("fetched " + host + " " + client.send(request, HttpResponse.BodyHandlers.ofString()).body());
        }
    }

    static void answer(DatagramChannel channel) throws IOException {
        say("bound " + channel.getLocalAddress());
        start(() -> {
            while (true) {
                ByteBuffer buffer = ByteBuffer.allocate(2048);
                SocketAddress from = channel.receive(buffer);
                channel.send(ByteBuffer.wrap((who + ". " + bare(from)).getBytes()), from);
            }
        });
    }

    static void udp(String[] addresses) throws Exception {
        // Both families, as everything is by default.
        answer(DatagramChannel.open().bind(new InetSocketAddress(5301)));
        DatagramSocket old = new DatagramSocket(5300);
        say("bound " + old.getLocalSocketAddress());
        start(() -> {
            while (true) {
                DatagramPacket packet = new DatagramPacket(new byte[2048], 2048);
                old.receive(packet);
                byte[] text = (who + ". " + bare(packet.getSocketAddress())).getBytes();
                old.send(new DatagramPacket(text, text.length, packet.getSocketAddress()));
            }
        });
        String[] all = Arrays.copyOf(addresses, addresses.length + 2);
        all[addresses.length] = "127.0.0.1";
        all[addresses.length + 1] = "::1";
        for (String address : all) {
            InetSocketAddress to = new InetSocketAddress(address, 5300);
            ByteBuffer buffer = ByteBuffer.allocate(2048);
            try (DatagramChannel channel = DatagramChannel.open()) {
                channel.connect(to);
                channel.write(ByteBuffer.wrap("?".getBytes()));
                channel.read(buffer);
                String text = new String(buffer.array(), 0, buffer.position());
                say("asked " + address + " " + bare(channel.getLocalAddress()) + " " + text);
            }
            // An old socket is bound to the wildcard from the beginning.
            try (DatagramSocket socket = new DatagramSocket()) {
                socket.send(new DatagramPacket("?".getBytes(), 1, to));
                DatagramPacket packet = new DatagramPacket(new byte[2048], 2048);
                socket.receive(packet);
                say("asked, unconnected " + bare(packet.getSocketAddress()) + " "
                        + new String(packet.getData(), 0, packet.getLength()));
            }
        }
    }

    public static void main(String[] args) throws Exception {
        who = args[0];
        String foreign = who.equals("who-host") ? "10.0.0.77" : "10.0.0.1";
        String[] addresses = Arrays.copyOfRange(args, 2, args.length);
        if (args[1].equals("client")) {
            for (String host : addresses) {
                say(ask(host, null));
            }
            return;
        }
        if (args[1].equals("tcp")) {
            tcp(foreign, addresses);
        } else {
            udp(addresses);
        }
        say("ready");
    }
}
