//! Two nodes, one virtual address: ours and C keepalived on real kernel
//! networking.
#[path = "../lab/mod.rs"]
mod lab;

#[test]
fn smoke() {
    lab::isolation::isolated(|| {
        let mut lab = lab::Lab::new().unwrap();
        let mut node = lab.node("one", [192, 0, 2, 1].into(), 24).unwrap();
        println!("{:?}", node.addresses().unwrap());
        let p = node
            .start(
                std::path::Path::new("/bin/ls"),
                &["-la", "/run", "/proc/self/fd"],
                &[],
            )
            .unwrap();
        println!("{:?}", p.await_end(std::time::Duration::from_secs(3)));
        println!("{}", p.output(lab.start));
        println!("{:?}", lab.observer.who_has([192, 0, 2, 1].into()));
        println!("{}", lab.observer.timeline(lab.start));
        panic!();
    });
}
