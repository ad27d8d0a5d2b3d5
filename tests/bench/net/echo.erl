%% An echo server, a process for each connection: `erl -noshell -s echo main PORT`.
-module(echo).
-export([main/1]).

main([Port]) ->
    {ok, Listener} = gen_tcp:listen(list_to_integer(atom_to_list(Port)),
                                    [binary, {ip, {127, 0, 0, 1}}, {active, false}, {nodelay, true},
                                     {reuseaddr, true}, {backlog, 1024}]),
    accept(Listener).

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Pid = spawn(fun() -> receive go -> serve(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listener).

serve(Socket) ->
    inet:setopts(Socket, [{active, true}]),
    loop(Socket).

loop(Socket) ->
    receive
        {tcp, Socket, Data} ->
            gen_tcp:send(Socket, Data),
            loop(Socket);
        {tcp_closed, Socket} ->
            ok
    end.
