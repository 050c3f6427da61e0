//! The third party on the segment: it hears every frame on the bridge with the
//! kernel's time of arrival, asks by ARP or neighbour discovery who holds an
//! address, and can send forged frames. It never takes part in VRRP itself.

use super::failure::{Context, Failure, Result, last_os_error};
use super::frames::{self, ARP_REPLY, Advert, Arp, Mac, NeighbourAdvert, Packet};
use super::namespace::own;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// How long answers to an ARP question are collected; a veth answers within
/// microseconds, the rest is for a busy machine.
const ARP_WINDOW: Duration = Duration::from_millis(250);
/// How often the listening thread looks whether it is still wanted.
const STOP_CHECK: Duration = Duration::from_millis(100);
const FRAME_MAX: usize = 2048;
/// Not in the `libc` crate: linux/if_packet.h.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// A frame that was heard.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// When the kernel received it.
    pub at: Instant,
    /// The whole frame.
    pub frame: Vec<u8>,
    /// What it carries.
    pub packet: Packet,
}

impl Sighting {
    /// The advert in this frame, if it is one.
    pub fn advert(&self) -> Option<&Advert> {
        match &self.packet {
            Packet::Vrrp(advert) => Some(advert),
            _ => None,
        }
    }

    /// The ARP packet in this frame, if it is one.
    pub fn arp(&self) -> Option<&Arp> {
        match &self.packet {
            Packet::Arp(arp) => Some(arp),
            _ => None,
        }
    }

    /// The neighbour advert in this frame, if it is one.
    pub fn neighbour(&self) -> Option<&NeighbourAdvert> {
        match &self.packet {
            Packet::Neighbour(neighbour) => Some(neighbour),
            _ => None,
        }
    }

    /// Whose address this frame tells everybody unasked. A neighbour advert looks
    /// the same whether it answers a probe or nothing at all.
    pub fn announcement(&self) -> Option<(IpAddr, Mac)> {
        match &self.packet {
            Packet::Arp(arp) if arp.is_gratuitous() => Some((arp.sender.into(), arp.sender_mac)),
            Packet::Neighbour(neighbour) if !neighbour.solicited => {
                Some((neighbour.target.into(), neighbour.mac))
            }
            _ => None,
        }
    }

    /// Whose address this frame tells to a probe.
    pub fn answer(&self) -> Option<(IpAddr, Mac)> {
        match &self.packet {
            Packet::Arp(arp) if arp.operation == ARP_REPLY => {
                Some((arp.sender.into(), arp.sender_mac))
            }
            Packet::Neighbour(neighbour) => Some((neighbour.target.into(), neighbour.mac)),
            _ => None,
        }
    }
}

/// A place in what was heard: everything after it is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// Ears and mouth on the bridge.
#[derive(Debug)]
pub struct Observer {
    mac: Mac,
    socket: Arc<OwnedFd>,
    heard: Arc<Heard>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Heard {
    sightings: Mutex<Vec<Sighting>>,
    more: Condvar,
    stop: AtomicBool,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Vec<Sighting>> {
        self.sightings
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Observer {
    /// Begins to listen on an interface of this process's namespace.
    pub fn new(interface_index: u32, mac: Mac) -> Result<Self> {
        let socket = Arc::new(open_socket(interface_index)?);
        let heard = Arc::new(Heard::default());
        let listener = thread::spawn({
            let (socket, heard) = (Arc::clone(&socket), Arc::clone(&heard));
            move || listen(&socket, &heard)
        });
        Ok(Self {
            mac,
            socket,
            heard,
            listener: Some(listener),
        })
    }

    /// The present place in what was heard.
    pub fn mark(&self) -> Mark {
        Mark(self.heard.lock().len())
    }

    /// The place before everything that was heard.
    pub fn beginning(&self) -> Mark {
        Mark(0)
    }

    /// Everything heard after `mark`.
    pub fn since(&self, mark: Mark) -> Vec<Sighting> {
        self.heard.lock().iter().skip(mark.0).cloned().collect()
    }

    /// Waits for the first frame after `mark` that satisfies `wanted`. Returns
    /// it with the mark just after it. `what` names it in the failure.
    pub fn await_frame(
        &self,
        mark: Mark,
        timeout: Duration,
        what: &str,
        wanted: impl Fn(&Sighting) -> bool,
    ) -> Result<(Sighting, Mark)> {
        let deadline = Instant::now() + timeout;
        let mut next = mark.0;
        let mut sightings = self.heard.lock();
        loop {
            while let Some(sighting) = sightings.get(next) {
                next += 1;
                if wanted(sighting) {
                    return Ok((sighting.clone(), Mark(next)));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::new(format!("not seen within {timeout:?}: {what}")));
            }
            sightings = match self.heard.more.wait_timeout(sightings, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Waits for an advert after `mark`.
    pub fn await_advert(
        &self,
        mark: Mark,
        timeout: Duration,
        what: &str,
        wanted: impl Fn(&Advert) -> bool,
    ) -> Result<(Instant, Mark)> {
        let (sighting, mark) = self.await_frame(mark, timeout, what, |sighting| {
            sighting.advert().is_some_and(&wanted)
        })?;
        Ok((sighting.at, mark))
    }

    /// Waits for the announcement of `address` by `mac` after `mark`.
    pub fn await_announcement(
        &self,
        mark: Mark,
        timeout: Duration,
        address: impl Into<IpAddr>,
        mac: Mac,
    ) -> Result<(Instant, Mark)> {
        let address = address.into();
        let what = format!("announcement of {address} by {mac}");
        let (sighting, mark) = self.await_frame(mark, timeout, &what, |sighting| {
            sighting.announcement() == Some((address, mac))
        })?;
        Ok((sighting.at, mark))
    }

    /// The adverts heard after `mark`, with their times.
    pub fn adverts_since(&self, mark: Mark) -> Vec<(Instant, Advert)> {
        let heard = self.since(mark);
        heard
            .iter()
            .filter_map(|sighting| Some((sighting.at, sighting.advert()?.clone())))
            .collect()
    }

    /// Asks who has `address` and returns everyone that answered within a
    /// quarter of a second, sorted, each once.
    pub fn who_has(&self, address: impl Into<IpAddr>) -> Result<Vec<Mac>> {
        let (address, mark) = (address.into(), self.mark());
        self.ask(address)?;
        // The absence of a second answer can only be had by waiting.
        thread::sleep(ARP_WINDOW);
        let heard = self.since(mark);
        let mut answered: Vec<Mac> = heard
            .iter()
            .filter_map(Sighting::answer)
            .filter(|(answered, _)| *answered == address)
            .map(|(_, mac)| mac)
            .collect();
        answered.sort_unstable();
        answered.dedup();
        Ok(answered)
    }

    fn ask(&self, address: IpAddr) -> Result<()> {
        let frame = match address {
            IpAddr::V4(address) => frames::arp_probe(self.mac, address),
            IpAddr::V6(address) => frames::neighbour_probe(self.mac, address),
        };
        self.send(&frame)
    }

    /// Asks who has `address` again and again until `mac` answers, and returns
    /// when that answer arrived.
    pub fn await_answer(
        &self,
        address: impl Into<IpAddr>,
        mac: Mac,
        timeout: Duration,
        every: Duration,
    ) -> Result<Instant> {
        let address = address.into();
        let deadline = Instant::now() + timeout;
        let mark = self.mark();
        let what = format!("an answer for {address} from {mac}");
        while Instant::now() < deadline {
            self.ask(address)?;
            let answer = self.await_frame(mark, every, &what, |sighting| {
                sighting.answer() == Some((address, mac))
            });
            if let Ok((sighting, _)) = answer {
                return Ok(sighting.at);
            }
        }
        Err(Failure::new(format!("not seen within {timeout:?}: {what}")))
    }

    /// Puts a frame on the segment, as if it came from a further machine.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        // SAFETY: the buffer lives through the call and the socket is bound.
        let sent = unsafe {
            libc::send(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
            )
        };
        if sent < 0 {
            Err(last_os_error("sending a frame"))
        } else {
            Ok(())
        }
    }

    /// One line for each VRRP, ARP and neighbour frame, with times in milliseconds after
    /// `start`: what to read when a test fails.
    pub fn timeline(&self, start: Instant) -> String {
        let mut text = String::new();
        for sighting in self.heard.lock().iter() {
            let line = match &sighting.packet {
                Packet::Vrrp(advert) => format!(
                    "VRRP {} > {} vrid {} priority {} {:?}{}",
                    advert.source,
                    advert.destination,
                    advert.vrid,
                    advert.priority,
                    advert.addresses,
                    match advert.checksum {
                        Some(_) => "",
                        None => " BAD CHECKSUM",
                    },
                ),
                Packet::Arp(arp) if arp.is_gratuitous() => {
                    format!("ARP  {} announces {}", arp.sender_mac, arp.sender)
                }
                Packet::Arp(arp) if arp.operation == ARP_REPLY => {
                    format!("ARP  {} answers for {}", arp.sender_mac, arp.sender)
                }
                Packet::Neighbour(neighbour) => {
                    format!("ND   {} tells of {}", neighbour.mac, neighbour.target)
                }
                _ => continue,
            };
            let at = sighting.at.saturating_duration_since(start).as_secs_f64() * 1e3;
            text.push_str(&format!("{at:10.1} ms  {line}\n"));
        }
        text
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.heard.stop.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            // A panic of the listener has been printed already.
            let _ = listener.join();
        }
    }
}

fn open_socket(interface_index: u32) -> Result<OwnedFd> {
    let everything = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: system calls with pointers to locals that live through them; the
    // address and request structures are plain data, valid when zeroed.
    unsafe {
        let descriptor = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        if descriptor < 0 {
            return Err(last_os_error("opening a packet socket"));
        }
        let socket = own(descriptor);
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).context("asking for times")?;
        setsockopt(&socket, sockopt::RcvBuf, &(4 << 20)).context("enlarging the buffer")?;
        let timeout = nix::sys::time::TimeVal::new(0, STOP_CHECK.as_micros() as i64);
        setsockopt(&socket, sockopt::ReceiveTimeout, &timeout).context("setting a timeout")?;
        let one: libc::c_int = 1;
        packet_option(&socket, PACKET_IGNORE_OUTGOING, &one)?;
        let mut promiscuous: libc::packet_mreq = std::mem::zeroed();
        promiscuous.mr_ifindex = interface_index as libc::c_int;
        promiscuous.mr_type = libc::PACKET_MR_PROMISC as u16;
        packet_option(&socket, libc::PACKET_ADD_MEMBERSHIP, &promiscuous)?;
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = everything;
        address.sll_ifindex = interface_index as libc::c_int;
        let bound = libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as u32,
        );
        if bound < 0 {
            return Err(last_os_error("binding a packet socket"));
        }
        Ok(socket)
    }
}

fn packet_option<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> Result<()> {
    // SAFETY: the value is plain data of the size that is passed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as u32,
        )
    };
    if result < 0 {
        Err(last_os_error("setting a packet option"))
    } else {
        Ok(())
    }
}

fn listen(socket: &OwnedFd, heard: &Heard) {
    let mut buffer = [0; FRAME_MAX];
    while !heard.stop.load(Ordering::Relaxed) {
        let Some((at, length)) = receive(socket, &mut buffer) else {
            continue;
        };
        let frame = buffer[..length].to_vec();
        let packet = frames::parse(&frame);
        heard.lock().push(Sighting { at, frame, packet });
        heard.more.notify_all();
    }
}

/// One frame with its time; none when the timeout passed or a signal came.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Option<(Instant, usize)> {
    let mut control = nix::cmsg_space!(libc::timespec);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::empty(),
    )
    .ok()?;
    let stamp = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => {
            Some(Duration::new(time.tv_sec() as u64, time.tv_nsec() as u32))
        }
        _ => None,
    });
    // The kernel stamps with the wall clock: only the age of the stamp is used.
    let now = Instant::now();
    let age = stamp
        .and_then(|stamp| SystemTime::UNIX_EPOCH.checked_add(stamp))
        .and_then(|stamp| SystemTime::now().duration_since(stamp).ok())
        .unwrap_or_default();
    Some((now.checked_sub(age).unwrap_or(now), message.bytes))
}
