%% The programs of this folder's parent for Erlang: erl -run processes_peer main NAME ARGUMENTS...
%% Each prints lines "NAME NANOSECONDS OPERATIONS", three times where that is quick.
-module(processes_peer).
-export([main/1]).

-define(ROUNDS, 3).

main([Name | Arguments]) ->
    run(Name, [list_to_integer(A) || A <- Arguments]),
    halt().

run("spawn", [Batches]) ->
    repeat(fun() ->
        timed("spawn", Batches * 1000, fun() -> times(Batches, fun plain/0) end),
        timed("spawn_monitor", Batches * 1000, fun() -> times(Batches, fun monitored/0) end)
    end);
run("yield", [Count, Times]) -> repeat(fun() -> yield(Count, Times) end);
run("ping_pong", [Bytes, Times]) -> ping_pong(Bytes, Times);
run("ring", [Count, Laps]) -> ring(Count, Laps);
run("fan_in", [Senders, Count]) ->
    repeat(fun() -> fan_in(Senders, Count, []) end),
    repeat(fun() -> fan_in(Senders, Count, [{message_queue_data, off_heap}]) end);
run("million", [Count]) -> million(Count);
run("pairs", [Count, Times]) -> repeat(fun() -> pairs(Count, Times) end);
run("sleepers", [Seconds, Sleepers, Hogs]) -> sleepers(Seconds, Sleepers, Hogs).

%% --- Common ---

now_ns() -> erlang:monotonic_time(nanosecond).

report(Name, Value, Operations) -> io:format("~s ~b ~b~n", [Name, Value, Operations]).

times(0, _) -> ok;
times(N, F) -> F(), times(N - 1, F).

%% In a process of its own each time: no heap is left of the time before.
repeat(F) -> times(?ROUNDS, fun() -> alone(F, []) end).

alone(F, Options) ->
    {Pid, Ref} = spawn_opt(F, [monitor | Options]),
    receive {'DOWN', Ref, process, Pid, Reason} -> normal = Reason end.

timed(Name, Operations, F) ->
    garbage_collect(),
    Begin = now_ns(),
    F(),
    report(Name, now_ns() - Begin, Operations).

take_all(_, 0) -> ok;
take_all(Tag, N) -> receive Tag -> take_all(Tag, N - 1) end.

%% Prints "at 0 Number", and waits until there is a line in standard input, or its end.
pause(Number) -> report("at", 0, Number), io:get_line("").

%% --- Spawning: batches of 1,000, whose last or all are monitored ---

nothing() -> ok.

plain() -> plain(999), monitored(1).
plain(0) -> ok;
plain(N) -> spawn(fun nothing/0), plain(N - 1).

monitored() -> monitored(1000).
monitored(N) -> times(N, fun() -> spawn_monitor(fun nothing/0) end), downs(N).
downs(0) -> ok;
downs(N) -> receive {'DOWN', _, process, _, _} -> downs(N - 1) end.

%% --- Switching ---

yield(Count, Times) ->
    Self = self(),
    Pids = [spawn(fun() -> receive go -> yielder(Times) end, Self ! done end)
            || _ <- lists:seq(1, Count)],
    timed("yield", Count * Times, fun() -> [P ! go || P <- Pids], take_all(done, Count) end).

yielder(0) -> ok;
yielder(N) -> erlang:yield(), yielder(N - 1).

%% --- Round trips: with a number, or with a binary that is copied each way ---

ping_pong(Bytes, Times) when Bytes =< 8 ->
    Pong = spawn(fun pong/0),
    repeat(fun() ->
        timed("ping_pong", Times, fun() -> Last = 2 * Times, Last = ping(Times, Pong, 0) end)
    end);
ping_pong(Bytes, Times) ->
    Pong = spawn(fun pong_copy/0),
    Message = binary:copy(<<7>>, Bytes),
    repeat(fun() -> timed("ping_pong", Times, fun() -> ping_copy(Times, Pong, Message) end) end).

pong() -> receive {From, N} -> From ! {self(), N + 1}, pong() end.
ping(0, _, N) -> N;
ping(Times, Pong, N) -> Pong ! {self(), N}, receive {Pong, M} -> ping(Times - 1, Pong, M + 1) end.

pong_copy() -> receive {From, Message} -> From ! {self(), binary:copy(Message)}, pong_copy() end.
ping_copy(0, _, _) -> ok;
ping_copy(Times, Pong, Message) ->
    Pong ! {self(), binary:copy(Message)},
    receive {Pong, Answer} -> ping_copy(Times - 1, Pong, Answer) end.

%% --- A ring ---

ring(Count, Laps) ->
    Self = self(),
    Head = lists:foldl(fun(_, Next) -> spawn(fun() -> relay(Next) end) end, Self,
                       lists:seq(1, Count - 1)),
    laps(2, Head, 0),
    times(?ROUNDS, fun() ->
        timed("ring", Count * Laps, fun() -> Hops = Count * Laps, Hops = laps(Laps, Head, 0) end)
    end).

relay(Next) -> receive {token, N} -> Next ! {token, N + 1}, relay(Next) end.
laps(0, _, N) -> N;
laps(Laps, Head, N) -> Head ! {token, N + 1}, receive {token, M} -> laps(Laps - 1, Head, M) end.

%% --- Many senders, one receiver ---

fan_in(Senders, Count, Options) ->
    alone(fun() ->
        Self = self(),
        Pids = [spawn(fun() -> receive go -> send(Self, Count) end end)
                || _ <- lists:seq(1, Senders)],
        timed("fan_in", Senders * Count,
              fun() -> [P ! go || P <- Pids], collect(Senders * Count) end)
    end, Options).

send(_, 0) -> ok;
send(To, N) -> To ! {item, N}, send(To, N - 1).
collect(0) -> ok;
collect(N) -> receive {item, _} -> collect(N - 1) end.

%% --- Many that wait ---

million(Count) ->
    garbage_collect(),
    pause(0),
    Begin = now_ns(),
    Pids = spawn_waiters(Count, self(), []),
    wait_for_waiting(hd(Pids)),
    report("create", now_ns() - Begin, Count),
    pause(1),
    Again = now_ns(),
    ask(Pids, 0),
    Sum = answers(Count, 0),
    Sum = Count * (Count + 1) div 2,
    report("answer", now_ns() - Again, Count),
    pause(2).

spawn_waiters(0, _, Pids) -> Pids;
spawn_waiters(N, Self, Pids) ->
    Pid = spawn(fun() -> receive {ask, I} -> Self ! {answer, I + 1} end end),
    spawn_waiters(N - 1, Self, [Pid | Pids]).

wait_for_waiting(Pid) ->
    case process_info(Pid, status) of
        {status, waiting} -> ok;
        _ -> erlang:yield(), wait_for_waiting(Pid)
    end.

ask([], _) -> ok;
ask([Pid | Pids], I) -> Pid ! {ask, I}, ask(Pids, I + 1).
answers(0, Sum) -> Sum;
answers(N, Sum) -> receive {answer, I} -> answers(N - 1, Sum + I) end.

%% --- Independent pairs ---

pairs(Count, Times) ->
    Self = self(),
    Pids = [spawn(fun() ->
                Pong = spawn(fun pong/0),
                receive go -> ping(Times, Pong, 0) end,
                exit(Pong, kill),
                Self ! done
            end) || _ <- lists:seq(1, Count)],
    timed("pairs", Count * Times, fun() -> [P ! go || P <- Pids], take_all(done, Count) end).

%% --- Sleepers among hogs ---

sleepers(Seconds, Sleepers, Hogs) ->
    Classes = 2000000,
    Counts = counters:new(Classes, []),
    times(Hogs, fun() -> spawn(fun() -> hog(1) end) end),
    timer:sleep(200),
    Self = self(),
    End = now_ns() + Seconds * 1000000000,
    times(Sleepers, fun() -> spawn(fun() -> sleeper(Counts, Classes, End), Self ! done end) end),
    take_all(done, Sleepers),
    All = [{I - 1, N} || I <- lists:seq(1, Classes), (N = counters:get(Counts, I)) > 0],
    Total = lists:sum([N || {_, N} <- All]),
    report("samples", Total, 1),
    report("p50", quantile(All, (Total + 1) div 2, 0), 1),
    report("p99", quantile(All, Total - Total div 100, 0), 1),
    report("p99.9", quantile(All, Total - Total div 1000, 0), 1),
    report("max", quantile(All, Total, 0), 1).

hog(X) -> hog((X * 25214903917 + 11) band 16#ffffffff).

sleeper(Counts, Classes, End) ->
    Before = now_ns(),
    receive after 10 -> ok end,
    After = now_ns(),
    Late = min(max((After - Before - 10000000) div 1000, 0), Classes - 1),
    counters:add(Counts, Late + 1, 1),
    if After < End -> sleeper(Counts, Classes, End); true -> ok end.

quantile([{Late, N} | Rest], Least, Sum) ->
    if Sum + N >= Least; Rest == [] -> Late * 1000; true -> quantile(Rest, Least, Sum + N) end.
