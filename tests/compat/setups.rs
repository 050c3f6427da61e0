//! Set-ups that people run, as they write them: a balancer pair, a pair whose
//! check stops its own daemon, two masters, and a file with mail.

use crate::bench::{Bench, Machine, PATIENCE, PID_FILE, Program, expect, find_program, skew};
use crate::lab::smtp_sink::SmtpSink;
use crate::lab::{Failure, Mark, Result};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longer than the master-down time of any priority here.
const A_WHILE: Duration = Duration::from_millis(4500);

const HAPROXY_VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 121);

/// The address is where haproxy runs, when and only when the weights say so:
/// 120 against 119, and 2 more for a running haproxy.
pub fn haproxy_pair(bench: &mut Bench) -> Result<()> {
    let mut first = start_named(&mut bench.a, "haproxy")?;
    let mut second = start_named(&mut bench.b, "haproxy")?;
    let [file_a, file_b] = [haproxy_file(&bench.a, 120), haproxy_file(&bench.b, 119)];
    bench.start(&file_a, &file_b)?;
    bench.await_holder_of(bench.lab.observer.beginning(), &bench.a, HAPROXY_VIP)?;

    // Without haproxy on either node the order stays as it was.
    second.signal(libc::SIGKILL);
    bench
        .b
        .daemon()?
        .await_line(PATIENCE, "VRRP_Script(chk_haproxy) failed")?;
    let mark = bench.lab.observer.mark();
    first.signal(libc::SIGKILL);
    bench.await_advert(mark, &bench.a, 120)?;
    let b = bench.b.node.address();
    bench.expect_no_advert(A_WHILE, "advert of 119 against 120", |advert| {
        advert.source == b
    })?;
    bench.expect_holder_of(&bench.a, HAPROXY_VIP)?;

    // 121 against 120.
    let mark = bench.lab.observer.mark();
    second = start_named(&mut bench.b, "haproxy")?;
    bench.await_holder_of(mark, &bench.b, HAPROXY_VIP)?;

    // 122 against 121, and then 120 against 121.
    let mark = bench.lab.observer.mark();
    first = start_named(&mut bench.a, "haproxy")?;
    bench.await_holder_of(mark, &bench.a, HAPROXY_VIP)?;
    let mark = bench.lab.observer.mark();
    first.signal(libc::SIGKILL);
    bench.await_holder_of(mark, &bench.b, HAPROXY_VIP)?;
    expect(second.is_running(), || {
        "haproxy of the second node to run".to_owned()
    })?;
    bench.stop()
}

/// As found on web pages: comments in Chinese, and ideographic spaces (U+3000)
/// behind words, which C takes for a part of the word.
fn haproxy_file(machine: &Machine, priority: u8) -> String {
    let text = format!(
        "! 全局配置
global_defs {{
   router_id LVS_DEVEL   # 标识本节点
}}

# 检查 haproxy 进程是否存在
vrrp_script chk_haproxy {{
    script \"killall -0 haproxy\"
    interval 2
    weight 2
    fall 2
    rise 1
}}\u{3000}
vrrp_instance VI_1 {{
    state MASTER\u{3000}\u{3000}# 主节点
    interface eth0
    virtual_router_id 51
    priority {priority}   # 优先级
    advert_int 1
    virtual_ipaddress {{
        {HAPROXY_VIP}
    }}\u{3000}
    track_script {{
        chk_haproxy
    }}
}}
"
    );
    match machine.program {
        Program::Ours => text,
        Program::C => text.replace('\u{3000}', " "),
    }
}

const NGINX_VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

/// The check script tries to start nginx again and, when that fails, stops the
/// very daemon that runs the script, and waits for its end. The other node has
/// the address a skew time later.
pub fn nginx_pair(bench: &mut Bench) -> Result<()> {
    for machine in [&bench.a, &bench.b] {
        machine
            .node
            .write_file("/run/check_nginx.sh", CHECK_NGINX)?;
        // What `systemctl stop keepalived` does: ask, and wait until it is gone.
        let stop = format!(
            "#!/bin/sh\npid=$(cat {PID_FILE})\nkill -TERM $pid\n\
             while kill -0 $pid 2>/dev/null; do sleep 0.1; done\n"
        );
        machine.node.write_file("/run/stop_keepalived", &stop)?;
    }
    let nginx = start_named(&mut bench.a, "nginx")?;
    start_named(&mut bench.b, "nginx")?;
    bench.start(&nginx_file(150), &nginx_file(100))?;
    bench.await_holder_of(bench.lab.observer.beginning(), &bench.a, NGINX_VIP)?;

    let mark = bench.lab.observer.mark();
    nginx.signal(libc::SIGKILL);
    let (farewell, mark) = bench.await_advert(mark, &bench.a, 0)?;
    let (takeover, _) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", farewell, skew(100), takeover)?;
    bench.await_holder_of(mark, &bench.b, NGINX_VIP)?;
    bench.a.expect_stopped()?;
    bench.b.stop()
}

const CHECK_NGINX: &str = "#!/bin/sh
if [ \"$(ps -C nginx --no-header | wc -l)\" -eq 0 ]; then
    # Here stands `systemctl start nginx`, which fails.
    sleep 1
    if [ \"$(ps -C nginx --no-header | wc -l)\" -eq 0 ]; then
        /run/stop_keepalived
    fi
fi
";

fn nginx_file(priority: u8) -> String {
    format!(
        "global_defs {{
    router_id LVS_DEVEL
    script_user root
}}
vrrp_script check_nginx {{
    script \"/run/check_nginx.sh\"
    interval 5
}}
vrrp_instance VI_1 {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 50
    priority {priority}
    advert_int 1
    authentication {{
        auth_type PASS
        auth_pass 1111
    }}
    virtual_ipaddress {{
        {NGINX_VIP}
    }}
    track_script {{
        check_nginx
    }}
}}
"
    )
}

/// The virtual address of VRID 51 in [`double_file`].
pub const FIRST_VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 101);
/// The virtual address of VRID 52 in [`double_file`].
pub const SECOND_VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 102);

/// Two instances, and each node is master of one. One node stops: the other has
/// both addresses. It returns and takes its own back.
pub fn double_master(bench: &mut Bench) -> Result<()> {
    let file_a = double_file(150, 100);
    bench.start(&file_a, &double_file(100, 150))?;
    expect_each_its_own(bench, bench.lab.observer.beginning())?;

    let mark = bench.lab.observer.mark();
    bench.a.stop()?;
    let observer = &bench.lab.observer;
    observer.await_announcement(mark, PATIENCE, FIRST_VIP, bench.b.node.mac())?;
    bench.b.expect_addresses(&[FIRST_VIP, SECOND_VIP])?;
    bench.expect_answer(FIRST_VIP, &[bench.b.node.mac()])?;
    bench.expect_answer(SECOND_VIP, &[bench.b.node.mac()])?;

    let mark = bench.lab.observer.mark();
    bench.a.start(&file_a)?;
    bench
        .lab
        .observer
        .await_announcement(mark, PATIENCE, FIRST_VIP, bench.a.node.mac())?;
    bench
        .b
        .node
        .await_address(FIRST_VIP, false, Duration::from_secs(1))?;
    expect_each_its_own(bench, bench.lab.observer.beginning())?;
    bench.stop()
}

fn expect_each_its_own(bench: &Bench, mark: Mark) -> Result<()> {
    let observer = &bench.lab.observer;
    for (machine, vip) in [(&bench.a, FIRST_VIP), (&bench.b, SECOND_VIP)] {
        observer.await_announcement(mark, PATIENCE, vip, machine.node.mac())?;
    }
    // The slower daemon may have found the other one to be master of both.
    bench
        .a
        .node
        .await_address(SECOND_VIP, false, Duration::from_secs(1))?;
    bench
        .b
        .node
        .await_address(FIRST_VIP, false, Duration::from_secs(1))?;
    for (machine, vip) in [(&bench.a, FIRST_VIP), (&bench.b, SECOND_VIP)] {
        machine.expect_addresses(&[vip])?;
        bench.expect_answer(vip, &[machine.node.mac()])?;
    }
    Ok(())
}

/// Two instances with these priorities.
pub fn double_file(first: u8, second: u8) -> String {
    let mut text = String::new();
    for (number, vrid, priority, vip) in [(1, 51, first, FIRST_VIP), (2, 52, second, SECOND_VIP)] {
        let state = if priority > 100 { "MASTER" } else { "BACKUP" };
        text.push_str(&format!(
            "vrrp_instance VI_{number} {{
    state {state}
    interface eth0
    virtual_router_id {vrid}
    priority {priority}
    advert_int 1
    authentication {{
        auth_type PASS
        auth_pass 1111
    }}
    virtual_ipaddress {{
        {vip}/24
    }}
}}
"
        ));
    }
    text
}

const MAIL_VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);

/// One mail for each transition, to the server that the file names.
pub fn mail_file(bench: &mut Bench) -> Result<()> {
    let mut sinks = Vec::new();
    for machine in [&bench.a, &bench.b] {
        let hosts = format!(
            "127.0.0.1 localhost mail.example.com {}\n",
            machine.node.name()
        );
        machine.node.replace_file("/etc/hosts", &hosts)?;
        sinks.push(SmtpSink::new(&machine.node, "127.0.0.1:25")?);
    }
    bench.start(&mail_text("MASTER", 160), &mail_text("BACKUP", 150))?;
    bench.await_holder_of(bench.lab.observer.beginning(), &bench.a, MAIL_VIP)?;
    sinks[0].await_mail(PATIENCE, "Entering MASTER state")?;

    let mark = bench.lab.observer.mark();
    bench.a.node.power_off()?;
    bench.await_holder_of(mark, &bench.b, MAIL_VIP)?;
    let mail = sinks[1].await_mail(PATIENCE, "Entering MASTER state")?;
    expect(mail.recipients == ["<admin@example.com>"], || {
        format!("one recipient, not {:?}", mail.recipients)
    })?;
    expect(mail.sender == "<keepalived@example.com>", || {
        format!("the sender of the file, not {}", mail.sender)
    })?;
    // A second mail of the same transition would come with the first.
    bench.await_advert(bench.lab.observer.mark(), &bench.b, 150)?;
    for sink in &sinks {
        expect_subjects(sink)?;
    }
    bench.b.stop()
}

fn expect_subjects(sink: &SmtpSink) -> Result<()> {
    let mails = sink.mails();
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    let wanted = [
        "[LVS_DEVEL] VRRP Instance VI_1 - Entering BACKUP state",
        "[LVS_DEVEL] VRRP Instance VI_1 - Entering MASTER state",
    ];
    expect(subjects == wanted, || {
        format!("one mail per transition, not {subjects:?}")
    })
}

fn mail_text(state: &str, priority: u8) -> String {
    format!(
        "global_defs {{
   notification_email {{
     admin@example.com
   }}
   notification_email_from keepalived@example.com
   smtp_server mail.example.com
   smtp_connect_timeout 30
   router_id LVS_DEVEL
   vrrp_skip_check_adv_addr
   vrrp_garp_interval 0
   vrrp_gna_interval 0
}}

vrrp_instance VI_1 {{
    state {state}
    nopreempt
    interface eth0
    virtual_router_id 56
    priority {priority}
    advert_int 1
    smtp_alert
    authentication {{
        auth_type PASS
        auth_pass 1111
    }}
    virtual_ipaddress {{
        {MAIL_VIP}/24
    }}
}}
"
    )
}

/// Starts a program that only sleeps, under a name that a check looks for.
fn start_named(machine: &mut Machine, name: &str) -> Result<Arc<crate::lab::Process>> {
    let sleep = find_program("sleep").ok_or_else(|| Failure::new("no program sleep"))?;
    let path = format!("/run/{name}");
    // A running program cannot be written to, and an old copy is as good.
    if machine.node.read_file_bytes(&path).is_err() {
        machine.node.copy_program(&sleep, &path)?;
    }
    machine.node.start(Path::new(&path), &["infinity"], &[])
}
