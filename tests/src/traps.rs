//! What goes wrong easily in the kernel part, and what shows that it does not.
//!
//! Each was met by somebody, in a prototype or later. A test holds the list to the cases, the
//! attempts of `bypass` and the tests that it names: whoever takes one of those away, or gives it another name,
//! has to say what shows it instead.

/// Something that goes wrong easily.
#[derive(Debug, Clone, Copy)]
pub struct Trap {
    /// What.
    pub what: &'static str,
    /// What shows that it does not.
    pub proofs: &'static [Proof],
}

/// What shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A named case: its file and name.
    Case(&'static str),
    /// An attempt of `bypass`.
    Way(&'static str),
    /// A test: its file below the workspace, and its name.
    Test(&'static str, &'static str),
}
use Proof::{Case, Test, Way};

const fn trap(what: &'static str, proofs: &'static [Proof]) -> Trap {
    Trap { what, proofs }
}

/// All that are known.
#[rustfmt::skip]
pub const TRAPS: &[Trap] = &[
    // Whose a socket and a process is.
    trap("a cgroup below the hostlet's is the hostlet's: its id is another",
        &[Test("tests/tests/members.rs", "a_cgroup_below_is_the_hostlets"), Way("cgroup-mount"), Way("hidden-members")]),
    trap("hooks run by the cgroup in which the socket was made, whoever calls",
        &[Case("sharing::a_passed_socket_keeps_its_meaning"), Case("handed::unbound_into_a_new_program"),
          Test("crates/platform/tests/sockdiag.rs", "a_sockets_cgroup_is_that_of_its_creator")]),
    trap("sockets from outside have no hooks: inherited, activated, passed",
        &[Way("inherited"), Way("activation"), Way("handed-in"), Test("tests/tests/hostile.rs", "a_socket_passed_in_from_outside_is_found"),
          Test("crates/platform/tests/launch.rs", "inherited_descriptors_are_closed_unless_kept")]),
    trap("hooks run in a network namespace made inside as well",
        &[Test("tests/tests/hostile.rs", "a_network_namespace_of_its_own_passes_through"),
          Test("tests/tests/members.rs", "a_network_that_a_member_makes_is_its_own"), Way("own-network")]),
    trap("a user namespace made inside gives capabilities, and no way out",
        &[Way("own-user"), Way("cgroup-remount"), Test("crates/platform/tests/mounts.rs", "a_user_namespace_inside_opens_nothing")]),
    trap("who has CAP_SYS_ADMIN changes its cgroup, detaches programs, enters namespaces",
        &[Way("cgroup-move"), Way("bpf-detach"), Way("enter-network"), Way("capability-sets"),
          Test("crates/platform/tests/launch.rs", "dangerous_capabilities_are_gone_from_every_set")]),
    trap("processes of one user outside can be traced",
        &[Way("take-same-user"), Way("take-socket"), Way("trace")]),
    trap("a hostlet belongs to one network namespace",
        &[Test("crates/cli/tests/surroundings.rs", "one_installation_one_namespace")]),
    trap("a program is known by inode and device, not by its path",
        &[Test("tests/tests/passing/excluded.rs", "another_file_at_the_path_is_another_program")]),

    // Binding.
    trap("binds of siblings do not overlap for the kernel, since each has its own address: the error is the hooks'",
        &[Case("bind::wildcard_then_specific"), Case("bind::specific_then_wildcard_other_address"), Case("bind::reuseaddr_rules"),
          Case("bind::reuseport_rules"), Case("bind::dual_stack_meets_v4")]),
    trap("a refused bind leaves no mark on the socket",
        &[Case("bind::foreign_addresses_tcp4"), Case("bind::an_address_of_another_family_is_none"), Case("known::a_port_that_a_refused_call_left")]),
    trap("echo and raw sockets bind past the hooks",
        &[Case("echo::bound"), Case("protocols::ping4_foreign"), Way("ping-bind"), Way("ping-unbound"), Way("raw")]),
    trap("io_uring comes to the same hooks, and not to the filter of calls",
        &[Case("uring::foreign_addresses"), Case("protocols::uring_bind"), Way("bind-uring"), Way("sniff-uring"), Way("uring-xdp")]),
    trap("IP_FREEBIND and IP_TRANSPARENT take addresses that nobody has",
        &[Case("bypass::freebind"), Case("families::freebind"), Way("bind-freebind"), Way("bind-transparent")]),
    trap("a socket of the host on the wildcard has the port: TCP goes under the surface",
        &[Case("neighbours::the_host_first_then_hostlets"), Case("hostports::one_address_of_ipv6"),
          Case("neighbours::a_host_service_does_not_answer_on_a_hostlets_address")]),
    trap("a member that shares such a port has to get the same one, and one that does not, none",
        &[Case("neighbours::two_members_behind_the_hosts_listener"), Case("hostports::members_share_what_the_host_has")]),
    trap("for UDP there is no such way: an event says who has the port",
        &[Case("known::a_udp_port_that_the_host_holds"), Test("crates/cli/tests/events.rs", "a_held_port_names_its_holder")]),

    // The wildcard.
    trap("one that listens on 127.0.0.1 must not be public",
        &[Case("loopback::not_from_other_machines"), Case("loopback::not_from_other_machines_tcp6"), Case("loopback_rest_shared::not_from_other_machines")]),
    trap("an owned address without a listener of its hostlet is a closed port, not the host's service",
        &[Case("neighbours::a_host_service_does_not_answer_on_a_hostlets_address"), Case("neighbours::the_set_and_nothing_else"), Way("host-wildcard")]),
    trap("closing the newest socket of a SO_REUSEPORT group must not lose the port",
        &[Case("wildcard::several_listeners_share"), Test("tests/tests/conformance.rs", "a_reload_with_many_listeners")]),
    trap("shutdown does not take a listener out of the table, close and a crash do",
        &[Case("ending::shutdown_of_a_listener"), Case("ending::shutdown_then_another_listens"), Case("ending::a_crash_frees_the_port_at_once"),
          Case("known::a_listener_that_was_shut_down")]),
    trap("who listens on the specific address is asked first",
        &[Case("wildcard::specific_before_wildcard"), Case("neighbours::the_host_first_then_a_specific_bind")]),
    trap("listen without a bind never comes to the hook of bind, and stands on the host's wildcard",
        &[Case("wildcard::listen_without_bind"), Case("listening::without_bind_dual_stack"), Case("uring::listens_without_bind"),
          Way("listen-unbound"), Way("listen-unbound6")]),
    trap("nor does UDP that sends without one",
        &[Case("wildcard::udp_without_bind"), Way("udp-unbound")]),
    trap("a socket on `::` put on one IPv6 address loses IPv4",
        &[Case("wildcard::dual_stack_serves_both"), Case("wildcard::udp_dual_stack_serves_both"), Case("wildcard::dual_stack_without_ipv4")]),
    trap("with IPV6_V6ONLY it must not take IPv4 from another",
        &[Case("wildcard::v6only_beside_ipv4"), Case("families::one_wildcard_of_each"), Case("families::what_v6only_says"), Case("bind::v6only_does_not_meet_v4")]),
    trap("UDP with several addresses gets what is for those where it does not stand, from the first datagram on",
        &[Case("wildcard::udp4_serves_every_address"), Case("wildcard::udp6_serves_every_address")]),
    trap("multicast and broadcast reach only sockets that the kernel has on no address",
        &[Case("multicast::multicast4"), Case("multicast::broadcast"), Case("multicast::multicast4_two_members")]),
    trap("nothing tells the hooks of a close but the release of the socket, which no longer has its address",
        &[Case("ending::close_frees_the_port_at_once"), Case("ending::udp_close"), Case("handed::the_only_holder_dies")]),

    // Sources.
    trap("a socket that has a port cannot be bound when it connects: it has sent before, or is of both families",
        &[Case("source::udp_sendto_then_connect"), Case("abroad::udp_connect_after_sendto"), Case("abroad::dual_tcp_to_ipv6"),
          Way("sent-then-connected"), Way("pktinfo-sent")]),
    trap("after AF_UNSPEC the source is chosen anew",
        &[Case("source::udp_reconnect_after_unspec"), Case("reconnect::tcp"), Case("reconnect::udp_bound"), Way("bind-again")]),
    trap("the C library asks for routes by UDP to port 0",
        &[Case("source::route_probe_as_glibc_does")]),
    trap("the kernel's routes cannot be asked in the hooks: the mirror has to be true",
        &[Case("source::by_route_tcp"), Case("source::by_route_tcp6"), Case("source::by_route_udp"),
          Test("crates/cli/tests/members.rs", "a_running_hostlet_follows_the_routes")]),
    trap("control messages name a source, on connected sockets too, and one of many in sendmmsg",
        &[Case("source::pktinfo_of_a_foreign_source"), Case("packets::sendmmsg_stops_at_a_foreign_source"),
          Way("pktinfo"), Way("pktinfo-connected"), Way("pktinfo-many"), Way("pktinfo-mapped")]),
    trap("UDP from an IPv6 socket to a mapped address runs the hook of IPv4, a connect that of IPv6",
        &[Case("loopback::mapped_udp"), Case("loopback::mapped"), Case("packets::sources_of_a_mapped_destination"), Case("source::tcp_mapped_unbound")]),
    trap("a server of UDP on the wildcard has to answer from where it was asked",
        &[Case("replies::from_the_address_that_was_asked"), Case("replies::from_the_address_that_was_asked_six"), Case("replies::two_clients_in_turn")]),
    trap("link-local sources come from the interface",
        &[Case("bypass::link_local"), Way("link-local"), Way("link-local-bind")]),

    // What is shown, and what is refused.
    trap("names of sockets show what the program bound, not where it stands",
        &[Case("loopback::tcp4_by_name_of_the_address"), Case("loopback::udp4"), Case("wild_connect::tcp4_to_a_server_on_the_wildcard"), Case("wildcard::one_address")]),
    trap("0.0.0.0 and `::` as destinations are the hostlet's own loopback",
        &[Case("loopback::zero_means_loopback_tcp"), Case("loopback::zero_means_loopback_udp"), Way("neighbour-loopback-name")]),
    trap("MPTCP is no TCP to the hooks: refused, programs fall back",
        &[Case("protocols::mptcp_makes_programs_fall_back"), Test("tests/tests/real/languages.rs", "go_multipath_by_connection"), Way("protocols")]),
    trap("other families pass the hooks",
        &[Case("protocols::what_cannot_be_confined_is_refused"), Way("families"), Test("crates/platform/tests/exec.rs", "families_that_nothing_confines_are_refused")]),

    // Being there.
    trap("programs live as long as the cgroup, tables as long as their pins",
        &[Test("crates/kernel/tests/pins.rs", "a_cgroup_has_its_programs_and_its_record"),
          Test("crates/kernel/tests/pins.rs", "another_handle_finds_what_one_made"), Test("tests/tests/hostile.rs", "the_pins_are_out_of_reach")]),
    trap("a killed command leaves nothing half, and lets nobody loose",
        &[Test("tests/tests/endurance.rs", "commands_and_hostletd_die_and_nobody_is_let_loose"),
          Test("crates/cli/tests/killed.rs", "a_grant_that_is_killed_is_whole_or_not_at_all")]),
    trap("the verifier of the oldest kernel takes less than the newest",
        &[Test("tests/tests/budgets.rs", "the_verifier_walks_no_more_than_is_allowed"),
          Test("crates/cli/tests/surroundings.rs", "a_kernel_without_a_needed_feature")]),
];
